slim-convert $TESTDATA/golden/traditional/mini-qwen2-bfloat16/a0-w8a8 -o out --to hf
