# Where a correction of biases goes, what cannot take one, and what slim-verify makes of the result.
model="$TESTDATA/models/tiny-qwen2"
slim-quant "$model" -o static --calib "$TESTDATA/golden/calib.jsonl" --bias-correction
slim-verify --deep static
slim-convert static -o mindie --to mindie -q
slim-verify --deep mindie
slim-quant "$model" -o dynamic --calib "$TESTDATA/golden/calib.jsonl" --type w8a8_dynamic --bias-correction --dry-run > plan
slim-quant "$TESTDATA/models/tiny-llama" -o none --type w8a16 --bias-correction || echo "exit $?"
slim-quant "$model" -o none --preset default-w8a8 --bias-correction || echo "exit $?"
# The parts of tensor-parallel ranks keep the receipt's word on it, and so does what they are joined to.
slim-quant "$model" -o sparse --calib "$TESTDATA/golden/calib.jsonl" --type w8a8s --dtype fp16 --layout mindie --bias-correction -q
slim-convert sparse -o parts --to mindie-parts --tp 2 -q
slim-convert parts -o joined --to mindie -q
grep -h '"bias_correction"' sparse/slim_receipt.json parts/slim_receipt.json joined/slim_receipt.json
slim-verify --deep -q parts joined
