#!/usr/bin/env python3
"""slim-convert holds twice the largest tensor and 200 MB at most, however large the model: a W8A8S checkpoint that is larger
goes to mindie, into tensor-parallel parts with --max-memory and back. Prints the peaks."""

import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

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
    sizes = {"I64": 8, "I32": 4, "F16": 2, "I8": 1}
    tensors = sorted(model_tensors(), key=lambda held: (-sizes[held[1]], held[0]))
    header, offset, largest = {}, 0, 0
    for name, dtype, shape in tensors:
        size = sizes[dtype] * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset, largest = offset + size, max(largest, size)
    text = json.dumps(header).encode()
    with open(folder / "quant_model_weight_w8a8s.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, dtype, _ in tensors:
            begin, end = header[name]["data_offsets"]
            file.write(content(name, dtype, (end - begin) // sizes[dtype], sparse))
    labels = {name: "FLOAT" if dtype == "F16" and not name.endswith(("_scale", "_offset")) else "W8A8S" for name, dtype, _ in model_tensors()}
    (folder / "quant_model_description.json").write_text(json.dumps({"version": "1.0.0", "model_quant_type": "W8A8S", **labels}, indent=2))
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "torch_dtype": "float16", "hidden_size": HIDDEN,
        "intermediate_size": WIDE, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": HEADS,
        "vocab_size": VOCABULARY, "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "max_position_embeddings": 256}))
    return largest, offset


def peak_of(*arguments):
    starter = ("import os, sys\npid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)\n_, status, usage = os.wait4(pid, 0)\n"
               "print(os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024)")
    result = subprocess.run([sys.executable, "-I", "-S", "-c", starter, BIN / "slim-convert", *arguments, "--no-fsync", "--allow-loss", "-q"],
                            capture_output=True, text=True, timeout=600, check=True)
    code, peak = map(int, result.stdout.split()[-2:])
    return code, peak, result.stderr[-500:]


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
                code, peak, error = peak_of(folder / source, "-o", folder / target, *words)
                self.assertEqual(code, 0, error)
                print(f"{' '.join(words)}: {peak // MIB} MiB")
                if not INSTRUMENTED:
                    self.assertLessEqual(peak, 128 << 20 if "--max-memory" in words else limit, words)
                if target == "mindie":
                    shutil.rmtree(folder / target)


if __name__ == "__main__":
    unittest.main()
