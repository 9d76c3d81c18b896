# --rules keeps what it names.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
rm model/config.json model/tokenizer.json
slim-verify --rules SIDE-no-tokenizer,LIN model
