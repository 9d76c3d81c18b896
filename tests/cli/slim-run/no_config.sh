cp -r $TESTDATA/models/tiny-llama model
rm model/config.json
slim-run model -p hello
