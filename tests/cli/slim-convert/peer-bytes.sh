# The traditional writer's own two layouts of one run (norm copies included), both directions.
slim-convert --to ascendv1-v0 -o a0 $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8-m1 -q
cmp a0/quant_model_weight_w8a8.safetensors $TESTDATA/golden/traditional/mini-qwen2-bfloat16/a0-w8a8-m1/quant_model_weight_w8a8.safetensors
cmp a0/quant_model_description.json $TESTDATA/golden/traditional/mini-qwen2-bfloat16/a0-w8a8-m1/quant_model_description.json
slim-convert $TESTDATA/golden/traditional/mini-qwen2-bfloat16/a0-w8a8-m1 --to mindie -o m0 --quiet
cmp m0/quant_model_weight_w8a8.safetensors $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8-m1/quant_model_weight_w8a8.safetensors
cmp m0/quant_model_description_w8a8.json $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8-m1/quant_model_description_w8a8.json
