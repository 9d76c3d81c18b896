# A sparse checkpoint into two parts and back: the scales are F16 then, and come back byte for byte.
python3 - "$TESTDATA" <<'EOF'
import json, os, sys, struct
root = sys.argv[1]
def read(path):
    raw = open(path, "rb").read()
    size = struct.unpack("<Q", raw[:8])[0]
    head = json.loads(raw[8:8 + size])
    return {n: (t["dtype"], t["shape"], raw[8 + size + t["data_offsets"][0]:8 + size + t["data_offsets"][1]])
            for n, t in head.items() if n != "__metadata__"}
base = read(root + "/golden/traditional/mini-qwen2-bfloat16/a0-w8a8/quant_model_weight_w8a8.safetensors")
delta = read(root + "/traditional-deltas/w8a8s/delta.safetensors")
labels = json.load(open(root + "/traditional-deltas/w8a8s/description.json"))
tensors = {n: delta.get(n, base.get(n)) for n in labels if n != "model_quant_type"}
head, data = {}, b""
for name in sorted(tensors, key=lambda n: (-{"I64": 8, "F32": 4, "I32": 3, "BF16": 2, "I8": 1}[tensors[n][0]], n)):
    dtype, shape, raw = tensors[name]
    head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
    data += raw
text = json.dumps(head, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
os.mkdir("in")
open("in/quant_model_weight_w8a8s.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data)
json.dump({"version": "1.0.0", **labels}, open("in/quant_model_description.json", "w"), indent=2)
open("in/config.json", "w").write(open(root + "/golden/traditional/mini-qwen2-bfloat16/a0-w8a8/config.json").read())
open("in/special_tokens_map.json", "w").write("{}")
EOF
slim-convert in -o parts --to mindie-parts --tp 2 || echo "exit $?"
slim-convert in -o parts --to mindie-parts --dtype fp16 || echo "exit $?"
slim-convert in -o parts --to mindie-parts --tp 3 --dtype fp16 || echo "exit $?"
slim-convert in -o parts --to mindie-parts --tp 2 --dtype fp16 || echo "exit $?"
slim-convert sparse_compressor --model_path in --save_directory parts --tp 2 --dtype fp16 --allow-loss
find parts -type f | sort
slim-convert parts -o half --to ascendv1-v0
slim-convert half -o again --to mindie-parts --tp 4
slim-convert again -o same --to ascendv1-v0
rm half/slim_receipt.json same/slim_receipt.json
diff -r half same && echo same
slim-convert parts -o out --to hf || echo "exit $?"
slim-convert in -o out --to hf || echo "exit $?"
rm -r parts/part1-of-2
slim-convert parts -o out --to ascendv1 || echo "exit $?"
