# Nothing is left behind where the output cannot be made.
slim-convert $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8 -o nowhere/out --to ascendv1
