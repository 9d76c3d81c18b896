# - reads paths, one a line.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
printf 'model\n\nmodel/quant_model_weights-00001-of-00001.safetensors\r\n' | slim-verify -
