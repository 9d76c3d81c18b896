slim-run $TESTDATA/models/tiny-llama -p "In the beginning" -n 1 --ctx 2000
