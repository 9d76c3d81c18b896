cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
printf 'GGUF\003\000\000\0000000000000' > model/quant_model_weights-00001-of-00001.safetensors
slim-verify model
