slim-run $TESTDATA/models/tiny-llama -p "In the beginning God created the heaven and the earth." -n 4 --ctx 10
