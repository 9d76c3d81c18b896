# Where a correction of biases goes, what cannot take one, and what slim-verify makes of the result.
model="$TESTDATA/models/tiny-qwen2"
slim-quant "$model" -o static --calib "$TESTDATA/golden/calib.jsonl" --bias-correction
slim-verify --deep static
slim-convert static -o mindie --to mindie -q
slim-verify --deep mindie
slim-quant "$model" -o dynamic --calib "$TESTDATA/golden/calib.jsonl" --type w8a8_dynamic --bias-correction --dry-run > plan
slim-quant "$TESTDATA/models/tiny-llama" -o none --type w8a16 --bias-correction || echo "exit $?"
slim-quant "$model" -o none --preset default-w8a8 --bias-correction || echo "exit $?"
