# What is measured by trying is what quantizing with the advice gives.
float=$TESTDATA/models/tiny-qwen2
text="--prompts $TESTDATA/golden/held-out-text.txt --windows 1 --tokens 64 --backend reference"
quant="slim-quant $float --type w8a8_dynamic --smooth none -q"
$quant -o w8a8
slim-diff "$float" w8a8 $text --bisect 3 --json > report.json
python3 -c '
import json
bisect = json.load(open("report.json"))["bisect"]
print(bisect["positions"], len(bisect["kept_in_float"]), *bisect["disable_names"])
assert bisect["kept_in_float"][0]["kl"] < bisect["kl"]
print(*bisect["disable_names"], file=open("names", "w"))
groups = len(set(name.rsplit(".", 2)[0] for name in bisect["disable_names"]))
print(repr(bisect["together"][groups - 1]), file=open("kl", "w"))
'
$quant -o advised --disable-names $(cat names)
slim-diff "$float" advised $text --metrics kl --json > after.json
python3 -c '
import json
after = json.load(open("after.json"))["metrics"]["kl"]["mean"]
assert abs(after / float(open("kl").read()) - 1) < 1e-6, after
'
