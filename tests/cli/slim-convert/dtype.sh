# The repair of what the traditional writer makes on a CPU, and of scales that stay.
slim-convert $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8 -o out --to mindie --dtype bf16
grep dtype out/config.json
