slim-run $TESTDATA/models/tiny-llama -p hello --ppl-window 5
