slim-convert $TESTDATA/golden/traditional/mini-qwen2-bfloat16/a0-w8a8 -o in --to ascendv1 --part-size 100KB -q
rm in/quant_model_weights-00002-of-00004.safetensors
slim-convert in -o out --to mindie || echo "exit $?"
ls -A | grep out || true
