cp -r $TESTDATA/golden/traditional/mini-qwen2-bfloat16/a0-w8a8 in
chmod -R u+w in
truncate -s 300000 in/quant_model_weight_w8a8.safetensors
slim-convert in -o out --to mindie
