# Data-free output in the checkpoint's own arithmetic is msModelSlim's, byte for byte.
slim-quant $TESTDATA/golden/models/mini-qwen2-bfloat16 -o out --type w8a16 --compute model -q
for file in $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a16/quant_model*; do cmp "$file" out/$(basename "$file"); done
ls out
