mkdir out
touch out/mine
slim-convert $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8 -o out --to ascendv1 || echo "exit $?"
ls out
slim-convert $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8 -o out --to ascendv1 --force -q
test ! -e out/mine
