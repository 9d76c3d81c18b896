# The main job: ascendv1 to mindie and back gives the same bytes, receipt deleted.
slim-convert $TESTDATA/golden/one-click/mini-qwen3-float16/w8a8-static -o mindie --to mindie
rm mindie/slim_receipt.json
slim-convert mindie -o back --to ascendv1
rm back/slim_receipt.json
diff -r $TESTDATA/golden/one-click/mini-qwen3-float16/w8a8-static back
ls mindie
