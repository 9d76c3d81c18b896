#!/usr/bin/env python3
"""sparse_checkpoint.py FOLDER: makes a W8A8S checkpoint of the traditional writer there, put together from testdata: what it shares with
the W8A8 golden, and testdata/traditional-deltas/w8a8s."""

import json
import pathlib
import sys

from checkpoint_files import read_safetensors, write_safetensors

TESTDATA = pathlib.Path(__file__).resolve().parents[1] / "testdata"
BASE = TESTDATA / "golden" / "traditional" / "mini-qwen2-bfloat16" / "a0-w8a8"
DELTA = TESTDATA / "traditional-deltas" / "w8a8s"


def make(folder):
    base = read_safetensors(BASE / "quant_model_weight_w8a8.safetensors")
    delta = read_safetensors(DELTA / "delta.safetensors")
    labels = json.loads((DELTA / "description.json").read_text())
    folder.mkdir()
    write_safetensors(folder / "quant_model_weight_w8a8s.safetensors",
                      {name: delta.get(name, base.get(name)) for name in labels if name != "model_quant_type"})
    (folder / "quant_model_description.json").write_text(json.dumps({"version": "1.0.0", **labels}, indent=2))
    (folder / "config.json").write_text((BASE / "config.json").read_text())
    (folder / "special_tokens_map.json").write_text("{}")


if __name__ == "__main__":
    make(pathlib.Path(sys.argv[1]))
