# An object that names a prompt or messages is a request, also where these are of the wrong kind: not a text to go on from.
for line in '{"prompt": 5}' '{"messages": "hello"}' '{"prompt": null, "max_tokens": 3}'; do
  echo "$line" | slim-run $TESTDATA/models/tiny-llama - -n 3 || echo exit $?
done
# No request: a text that begins with a brace.
echo '{"question": 5}' | slim-run $TESTDATA/models/tiny-llama - -n 3
