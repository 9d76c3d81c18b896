# A chat template that needs what slim lacks: the error names the feature and its line. The prompt alone still works.
cp -r $TESTDATA/models/tiny-llama model
printf '{%% for message in messages %%}\n{{ message.content }}\n{%% include "tools.jinja" %%}\n{%% endfor %%}' >model/chat_template.jinja
slim-run model --chat -p hello || echo exit $?
slim-run model -p hello -n 2
printf '{{ messages | frobnicate }}' >model/chat_template.jinja
slim-run model --chat -p hello || echo exit $?
