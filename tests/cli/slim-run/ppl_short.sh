echo "In the beginning" | slim-run $TESTDATA/models/tiny-llama --ppl -
