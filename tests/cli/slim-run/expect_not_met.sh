slim-run $TESTDATA/models/tiny-llama -p "In the beginning" -n 3 --expect "Deep learning"
