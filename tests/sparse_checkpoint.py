#!/usr/bin/env python3
"""sparse_checkpoint.py FOLDER: makes a W8A8S checkpoint of the traditional writer there, put together from testdata: what it shares with
the W8A8 golden, and testdata/traditional-deltas/w8a8s."""

import json
import pathlib
import struct
import sys

TESTDATA = pathlib.Path(__file__).resolve().parents[1] / "testdata"
BASE = TESTDATA / "golden" / "traditional" / "mini-qwen2-bfloat16" / "a0-w8a8"
DELTA = TESTDATA / "traditional-deltas" / "w8a8s"
RANK = {"I64": 8, "F32": 4, "I32": 3, "BF16": 2, "I8": 1}


def read(path):
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    head = json.loads(raw[8:8 + size])
    return {name: (tensor["dtype"], tensor["shape"], raw[8 + size + tensor["data_offsets"][0]:8 + size + tensor["data_offsets"][1]])
            for name, tensor in head.items() if name != "__metadata__"}


def make(folder):
    base = read(BASE / "quant_model_weight_w8a8.safetensors")
    delta = read(DELTA / "delta.safetensors")
    labels = json.loads((DELTA / "description.json").read_text())
    tensors = {name: delta.get(name, base.get(name)) for name in labels if name != "model_quant_type"}
    head, data = {}, b""
    for name in sorted(tensors, key=lambda name: (-RANK[tensors[name][0]], name)):
        dtype, shape, raw = tensors[name]
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    folder.mkdir()
    (folder / "quant_model_weight_w8a8s.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "quant_model_description.json").write_text(json.dumps({"version": "1.0.0", **labels}, indent=2))
    (folder / "config.json").write_text((BASE / "config.json").read_text())
    (folder / "special_tokens_map.json").write_text("{}")


if __name__ == "__main__":
    make(pathlib.Path(sys.argv[1]))
