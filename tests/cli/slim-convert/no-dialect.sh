slim-convert $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8 -o out
