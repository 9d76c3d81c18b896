slim-quant $TESTDATA/models/tiny-llama --dry-run
