cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-dynamic model
sed -i 's/"model.layers.1.mlp.up_proj.weight": "W8A8_DYNAMIC"/"model.layers.1.mlp.up_proj.weight": "W8A8SC"/' model/quant_model_description.json
slim-run model -p hello
