slim-run $TESTDATA/models/tiny-llama -p hello --seed 3
