cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
sed -i '/lm_head.weight/d' model/quant_model_description.json
slim-verify model
