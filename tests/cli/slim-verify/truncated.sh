# An interrupted download.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
truncate -s -10 model/quant_model_weights-00001-of-00001.safetensors
slim-verify model
