# Pruned float weights: the type, the preset, the share of zeros, and the layouts that have no place for it.
model="$TESTDATA/models/tiny-llama"
calib="$TESTDATA/golden/calib.jsonl"
slim-quant "$model" -o preset --preset default-w16a16s --calib "$calib" --no-fsync
slim-verify preset
slim-quant "$model" -o type --type w16a16s --calib "$calib" --no-fsync -q
slim-quant "$model" -o type2 --type w16a16s --calib "$calib" --no-fsync -q --threads 3
cmp type/quant_model_weights-00001-of-00001.safetensors type2/quant_model_weights-00001-of-00001.safetensors
python3 - <<'END'
import json, struct
for name in ("preset", "type"):
    data = open(f"{name}/quant_model_weights-00001-of-00001.safetensors", "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    entry = json.loads(data[8:8 + size])["model.layers.1.self_attn.q_proj.weight"]
    begin, end = entry["data_offsets"]
    values = struct.unpack(f"<{(end - begin) // 2}H", data[8 + size + begin:8 + size + end])
    print(name, entry["dtype"], round(sum(v & 0x7fff == 0 for v in values) / len(values), 2))
END
slim-run preset -p 'Question: "What'"'"'s deep learning?"' -n 3 --json | grep -c '"text"'
slim-quant "$model" -o none --type w16a16s --layout mindie || echo "exit $?"
