slim-run $TESTDATA/models/tiny-llama
