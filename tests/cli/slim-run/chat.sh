slim-run $TESTDATA/models/tiny-llama --chat --system "Be brief." -p "What is the capital of Peru?" -n 8
