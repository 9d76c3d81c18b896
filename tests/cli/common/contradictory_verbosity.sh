slim-verify --quiet --verbose "$TESTDATA/models/tiny-llama"
