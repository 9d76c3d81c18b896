cp -r $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8 in
slim-convert in -o ./in/ --to ascendv1 || echo "exit $?"
slim-convert in -o in/out --to ascendv1 || echo "exit $?"
diff -r $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8 in
