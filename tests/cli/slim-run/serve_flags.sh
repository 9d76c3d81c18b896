# Flags of the server without it, and of a prompt with it.
slim-run $TESTDATA/models/tiny-llama -p x --port 8000 || echo exit $?
slim-run $TESTDATA/models/tiny-llama --serve -p x || echo exit $?
slim-run serve $TESTDATA/models/tiny-llama --top-k 5 || echo exit $?
slim-run serve $TESTDATA/models/tiny-llama --api-key '' || echo exit $?
