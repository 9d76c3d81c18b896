cp -r $TESTDATA/models/tiny-llama model
rm model/tokenizer.json
slim-run model -p hello
