printf 'caf\351\n' | slim-run $TESTDATA/models/tiny-llama - -n 2
