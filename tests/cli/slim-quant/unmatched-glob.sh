slim-quant $TESTDATA/golden/models/mini-qwen2-bfloat16 -o out --type w8a16 --disable-names '*gate_prj'
