cp -r $TESTDATA/golden/models/mini-qwen2-bfloat16 in
sed -i 's/"qwen2"/"mamba"/' in/config.json
slim-quant in -o out || echo "exit $?"
cp $TESTDATA/golden/models/mini-qwen2-bfloat16/config.json in/
sed -i 's/"intermediate_size": 160/"intermediate_size": 128/' in/config.json
slim-quant in -o out || echo "exit $?"
echo '{"model_type": "qwen2",' >in/config.json
slim-quant in -o out || echo "exit $?"
slim-quant $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a16 -o out || echo "exit $?"
slim-quant $TESTDATA/models/tiny-llama/model.safetensors -o out || echo "exit $?"
