slim-run --threads 0 "$TESTDATA/models/tiny-llama"
