# What is known is accepted, what is new is not, what is gone is named.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
rm model/tokenizer.json model/config.json
slim-verify --quiet model || echo "exit $?"
slim-verify --write-baseline known.json model
cat known.json
cp -r model copy
slim-verify --baseline known.json copy
echo '{"quantize": "W8A8"}' >copy/config.json
slim-verify --baseline known.json copy || echo "exit $?"
echo '{"findings": [{"rule": 1}]}' >known.json
slim-verify --baseline known.json model || echo "exit $?"
slim-verify --baseline nowhere.json model || echo "exit $?"
