# What lets other machines ask must be meant.
slim-run $TESTDATA/models/tiny-llama --serve --host 0.0.0.0
