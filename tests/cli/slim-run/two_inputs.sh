slim-run $TESTDATA/models/tiny-llama -p hello --bench
