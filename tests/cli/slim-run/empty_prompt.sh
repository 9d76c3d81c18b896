# Nothing to go on from, with a tokenizer that puts a first token before every text and with one that does not.
for model in tiny-llama tiny-qwen2; do
  slim-run $TESTDATA/models/$model -p "" || echo exit $?
  printf '' | slim-run $TESTDATA/models/$model - || echo exit $?
  printf '\n' | slim-run $TESTDATA/models/$model - || echo exit $?
  printf '{"prompt": ""}\n' | slim-run $TESTDATA/models/$model - || echo exit $?
done
: >empty.txt
slim-run $TESTDATA/models/tiny-llama -f empty.txt || echo exit $?
slim-run $TESTDATA/models/tiny-llama --chat -p "" || echo exit $?
