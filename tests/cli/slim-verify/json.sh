cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
rm model/tokenizer.json
slim-verify --json model
