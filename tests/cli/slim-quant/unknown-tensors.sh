# Tensors that the architecture does not have travel as they are, whatever their dtype; rotary buffers stay behind.
cp -r $TESTDATA/golden/models/mini-qwen2-bfloat16 in
python3 - <<'EOF'
import json, struct
raw = open("in/model.safetensors", "rb").read()
size = struct.unpack("<Q", raw[:8])[0]
header, data = json.loads(raw[8:8 + size]), raw[8 + size:]
def add(name, dtype, shape, content):
    global data
    header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
    data += content
add("model.layers.0.self_attn.rotary_emb.inv_freq", "F32", [2], bytes(8))
add("model.position_ids", "I64", [3], bytes(24))
add("model.packed", "F4", [4], bytes(2))
text = json.dumps(header).encode()
open("in/model.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data)
EOF
slim-quant in -o out --type w8a16
grep -E 'position_ids|packed|inv_freq' out/quant_model_description.json
slim-quant in --dry-run --type w8a16 | grep architecture
