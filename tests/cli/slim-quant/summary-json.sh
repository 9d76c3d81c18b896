slim-quant $TESTDATA/golden/models/mini-qwen2-bfloat16 -o out --calib $TESTDATA/golden/calib.jsonl --json -q
