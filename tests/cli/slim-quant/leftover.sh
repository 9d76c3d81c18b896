# What a killed run left is removed by the next, which says so.
mkdir .out.slim-partial
touch .out.slim-partial/quant_model_weights-00001-of-00001.safetensors
slim-quant $TESTDATA/golden/models/mini-qwen2-bfloat16 -o out --type w8a16
ls -A
