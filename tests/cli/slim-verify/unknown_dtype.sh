cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
sed -i '1s/"BF16"/"BF17"/' model/quant_model_weights-00001-of-00001.safetensors
slim-verify model
