# Five findings of a rule, then how many more; all of them with --verbose.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
sed -i 's/: "FLOAT"/: "FLOTA"/' model/quant_model_description.json
slim-verify model || echo "exit $?"
slim-verify --verbose model | grep -c FLOTA
