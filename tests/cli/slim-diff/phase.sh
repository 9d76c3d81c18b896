# W8A8_MIX: per-token activations in prefill, static ones in decode.
float=$TESTDATA/models/tiny-qwen2
text="--prompts $TESTDATA/golden/held-out-text.txt --tokens 32 --windows 1 --metrics kl --backend reference --json"
slim-quant "$float" -o mix --type w8a8_mix --calib $TESTDATA/golden/calib.jsonl -q
for phase in auto prefill decode; do slim-diff "$float" mix $text --phase $phase > $phase.json; done
cmp auto.json prefill.json
cmp -s prefill.json decode.json && echo "the phases are the same"
python3 -c '
import json
kl = [json.load(open(f"{phase}.json"))["metrics"]["kl"]["mean"] for phase in ("prefill", "decode")]
assert 0 < kl[0] < kl[1] < 0.1, kl
'
