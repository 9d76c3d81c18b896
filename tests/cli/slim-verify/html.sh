cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
echo '<!DOCTYPE html><html>404</html>' > model/quant_model_weights-00001-of-00001.safetensors
slim-verify model
