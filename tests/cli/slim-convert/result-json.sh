# --json of a run; the receipt has no path and no time, and threads do not matter.
slim-convert $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a16 -o one --to ascendv1 --json --threads 1 | head -14
slim-convert $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a16 -o two --to ascendv1 --threads 4 -q
diff -r one two
