# What slim-quant and slim-diff advise when memory is short and when too much is lost; with the report as JSON, too.
model="$TESTDATA/models/tiny-llama"
calib="$TESTDATA/golden/calib.jsonl"
slim-quant "$model" -o out --calib "$calib" --propagate quantized --max-memory 1MB || echo "exit $?"
slim-quant "$model" -o out --calib "$calib" --type w4a8 --smooth none --report page.html --json -q --no-fsync |
  python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["advice"], indent=1))'
grep -c 'What to try' page.html
slim-diff "$model" out --prompts "$TESTDATA/golden/held-out-text.txt" --tokens 32 --windows 2 --metrics top1 --min-top1 1 || echo "exit $?"
slim-diff "$model" out --prompts "$TESTDATA/golden/held-out-text.txt" --tokens 32 --windows 2 --min-top1 1 --json |
  python3 -c 'import json, sys; print(len(json.load(sys.stdin)["advice"]))'
