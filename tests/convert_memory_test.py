#!/usr/bin/env python3
"""slim-convert holds twice the largest tensor and 200 MB at most, however large the model: a W8A8S checkpoint that is larger
goes to mindie, into tensor-parallel parts with --max-memory and back. Prints the peaks."""

import json
import math
import os
import pathlib
import random
import shutil
import struct
import tempfile
import unittest

from checkpoint_files import Tensor, write_safetensors
from measured_run import run_measured

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
MIB = 1 << 20
# Sanitizers keep freed memory.
INSTRUMENTED = "release" not in str(BIN)
LAYERS, HIDDEN, WIDE, VOCABULARY, HEADS = (2, 256, 512, 512, 4) if INSTRUMENTED else (14, 1024, 4096, 4096, 8)


def layer_tensors(prefix):
    for part, n, k in (("self_attn.q_proj", HIDDEN, HIDDEN), ("self_attn.k_proj", HIDDEN, HIDDEN), ("self_attn.v_proj", HIDDEN, HIDDEN),
                       ("self_attn.o_proj", HIDDEN, HIDDEN), ("mlp.gate_proj", WIDE, HIDDEN), ("mlp.up_proj", WIDE, HIDDEN),
                       ("mlp.down_proj", HIDDEN, WIDE)):
        module = prefix + part
        yield f"{module}.weight", "I8", [n, k]
        yield f"{module}.quant_bias", "I32", [n]
        yield f"{module}.deq_scale", "I64", [n]
        yield f"{module}.input_scale", "F16", [1]
        yield f"{module}.input_offset", "F16", [1]
    for norm in ("input_layernorm", "post_attention_layernorm"):
        yield f"{prefix}{norm}.weight", "F16", [HIDDEN]


def model_tensors():
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        yield name, "F16", [VOCABULARY, HIDDEN]
    yield "model.norm.weight", "F16", [HIDDEN]
    for number in range(LAYERS):
        yield from layer_tensors(f"model.layers.{number}.")


def content(name, dtype, count, sparse):
    if name.endswith("_offset"):
        return bytes(2 * count)
    if dtype == "I8":
        return (sparse * (count // len(sparse) + 1))[:count]
    element = {"F16": struct.pack("<e", 0.25), "I32": struct.pack("<i", 7), "I64": struct.pack("<q", 0x3A800000)}[dtype]
    return element * count


def make(folder):
    """Gives the bytes of the largest tensor and of all."""
    folder.mkdir()
    rng = random.Random(5)
    sparse = bytes(rng.choice((1, 2, 255)) if rng.random() < 0.1 else 0 for _ in range(MIB))
    tensors = {}
    for name, dtype, shape in model_tensors():
        tensors[name] = Tensor(dtype, shape, content(name, dtype, math.prod(shape), sparse))
    write_safetensors(folder / "quant_model_weight_w8a8s.safetensors", tensors)
    labels = {name: "FLOAT" if dtype == "F16" and not name.endswith(("_scale", "_offset")) else "W8A8S" for name, dtype, _ in model_tensors()}
    (folder / "quant_model_description.json").write_text(json.dumps({"version": "1.0.0", "model_quant_type": "W8A8S", **labels}, indent=2))
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "torch_dtype": "float16", "hidden_size": HIDDEN,
        "intermediate_size": WIDE, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": HEADS,
        "vocab_size": VOCABULARY, "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "max_position_embeddings": 256}))
    sizes = [len(held.data) for held in tensors.values()]
    return max(sizes), sum(sizes)


class Memory(unittest.TestCase):
    def test_peak(self):
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch)
            largest, total = make(folder / "in")
            limit = 2 * largest + (200 << 20)
            if not INSTRUMENTED:
                self.assertGreater(total, limit)
            print(f"model {total // MIB} MiB, largest tensor {largest // MIB} MiB, limit {limit // MIB} MiB")
            for source, target, *words in (("in", "mindie", "--to", "mindie"),
                                           ("in", "parts", "--to", "mindie-parts", "--tp", "2", "--max-memory", "128MiB"),
                                           ("parts", "back", "--to", "ascendv1-v0")):
                run = run_measured([BIN / "slim-convert", folder / source, "-o", folder / target, *words,
                                    "--no-fsync", "--allow-loss", "-q"], timeout=600)
                self.assertEqual(run.code, 0, run.error)
                print(f"{' '.join(words)}: {run.peak // MIB} MiB")
                if not INSTRUMENTED:
                    self.assertLessEqual(run.peak, 128 << 20 if "--max-memory" in words else limit, words)
                if target == "mindie":
                    shutil.rmtree(folder / target)


if __name__ == "__main__":
    unittest.main()
