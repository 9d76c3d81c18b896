slim-quant $TESTDATA/golden/models/mini-qwen3-float16 --dry-run --json --type w8a16 | head -40
