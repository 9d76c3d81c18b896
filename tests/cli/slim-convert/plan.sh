# What would change, and nothing is written.
slim-convert $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8-m1 --to ascendv1 --plan
slim-convert $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8-m1 -o out --to ascendv1 --dry-run >/dev/null
test ! -e out
