float=$TESTDATA/golden/models/mini-qwen2-bfloat16
quantized=$TESTDATA/golden/one-click/mini-qwen2-bfloat16
small="--prompts $TESTDATA/golden/held-out-text.txt --tokens 32 --windows 2"
slim-diff "$float" "$quantized/w8a16" $small --json --min-top1 0.5 > report.json
python3 -c '
import json
report = json.load(open("report.json"))
print(report["passed"], sorted(report), sorted(report["metrics"]))
assert 0 < report["metrics"]["kl"]["mean"] < 0.02
assert len(report["metrics"]["greedy"]) == 2
'
