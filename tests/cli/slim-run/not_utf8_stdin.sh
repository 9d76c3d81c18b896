# Bytes that are no text, on standard input: as a prompt, as a message, in a batch.
printf 'caf\351' | slim-run $TESTDATA/models/tiny-llama - || echo exit $?
printf 'caf\351\n' | slim-run $TESTDATA/models/tiny-llama --chat || echo exit $?
printf '{"prompt": "caf\351"}\n' | slim-run $TESTDATA/models/tiny-llama - || echo exit $?
