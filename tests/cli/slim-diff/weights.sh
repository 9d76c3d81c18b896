# Weights alone: nothing runs, so no tokenizer is needed.
float=$TESTDATA/golden/models/mini-qwen2-bfloat16
one_click=$TESTDATA/golden/one-click/mini-qwen2-bfloat16
cp -r "$one_click/w8a8-dynamic" bare
chmod -R u+w bare
rm bare/tokenizer*.json
slim-diff "$float" bare --weights
slim-diff "$float" "$one_click/w8a16" --weights --min-weight-sqnr 60 --format csv | tail -1 || true
slim-diff "$float" "$one_click/w8a16" --min-weight-sqnr 60
