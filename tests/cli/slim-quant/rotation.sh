# quarot with experts and with latent attention computes what the float model does; where it cannot, it says why.
cat >quarot.yaml <<Y
apiversion: modelslim_v1
spec:
  process:
    - {type: quarot}
    - type: linear_quant
      qconfig:
        weight: {scope: per_channel, dtype: int8, symmetric: true, method: minmax}
Y
without_draft_layer() {
  slim-quant $1 -o out --recipe quarot.yaml || echo "exit $?"
  python3 - $1 <<'P'
import json, sys
path = sys.argv[1] + "/model.safetensors"
data = open(path, "rb").read()
end = 8 + int.from_bytes(data[:8], "little")
kept, body = {}, b""
for name, entry in json.loads(data[8:end]).items():
    if name == "__metadata__" or name.startswith("model.layers.3."): continue
    begin, stop = entry["data_offsets"]
    kept[name] = {**entry, "data_offsets": [len(body), len(body) + stop - begin]}
    body += data[end + begin : end + stop]
header = json.dumps(kept).encode()
header += b" " * (-len(header) % 8)
open(path, "wb").write(len(header).to_bytes(8, "little") + header + body)
P
  sed -i 's/"num_nextn_predict_layers": 1/"num_nextn_predict_layers": 0/' $1/config.json
}
for model in qwen2-moe qwen3-moe deepseek-v2 deepseek-v3; do
  cp -r $TESTDATA/mixtures/$model $model
  cp $TESTDATA/golden/models/mini-qwen2-float32/tokenizer* $model/
  [ $model != deepseek-v3 ] || without_draft_layer $model
  slim-quant $model -o $model-rotated --recipe quarot.yaml -q --dtype fp16
  slim-verify --deep -q $model-rotated
  slim-diff $model $model-rotated --prompts $TESTDATA/golden/calib.jsonl --tokens 64 --windows 2 --max-kl 0.02 -q >/dev/null && echo "$model: the same function"
done
cp -r $TESTDATA/mixtures/qwen2.5-vl vl
slim-quant vl -o out --recipe quarot.yaml || echo "exit $?"
