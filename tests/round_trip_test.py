#!/usr/bin/env python3
"""The law of exact cells, for every cell that slim-convert --list --json labels exact in both directions: A to B to A gives the same
tensors and description, without the receipt, for random small checkpoints, 200 with check.sh --long (sizes, types, dtypes, shards, biases, missing optional
tensors). A cell that no checkpoint went through is a failure. Within the Ascend family tests/unit/convert/round_trip_test.cc holds
config.json and index to the same."""

import collections
import json
import os
import pathlib
import random
import shutil
import tempfile
import unittest

from checkpoint_files import tensor, write_safetensors
from matrix_test import ROOT, contents, convert

COUNT = 200 if os.environ.get("SLIM_LONG") else 52
TOKENIZER = ROOT / "testdata" / "models" / "tiny-qwen2"
FAMILY = ("ascendv1", "ascendv1-v0", "mindie")
STATIC = ("W8A8", "W8A8_MIX", "W8A8S")


class RandomCheckpoint:
    def __init__(self, seed, cell):
        self.rng = random.Random(seed)
        self.tensors, self.labels = {}, {}
        self.parts = "mindie-parts" in cell
        self.npy = "npy" in cell
        self.floats = "hf" in cell or "gguf" in cell
        self.gguf = "gguf" in cell
        if self.floats:
            self.type = "FLOAT"
        elif self.parts:
            self.type = "W8A8S"
        elif self.npy:
            self.type = self.rng.choice(("W8A8", "W8A8_DYNAMIC", "W8A16"))
        else:
            self.type = self.rng.choice(("W8A8", "W8A8_DYNAMIC", "W8A16", "W8A8_MIX", "W8A8S"))
        self.dtype = "F16" if self.parts else self.rng.choice(("BF16", "F16"))
        self.scale = "F16" if self.parts else self.rng.choice(("F32", self.dtype))
        self.cache = not self.floats and not self.parts and not self.npy and self.rng.random() < 0.2
        self.layers = self.rng.randint(1, 3)
        self.model = "llama" if self.npy else self.rng.choice(("llama", "qwen2"))  # qwen2 has biases, for which npy has no names
        self.head = 8 * self.rng.randint(1, 2)
        self.hidden = 4 * self.head
        self.vocabulary = 4096 if self.gguf else 24

    def add(self, name, dtype, shape, label="FLOAT", low=-1.0, high=1.0):
        count = 1
        for extent in shape:
            count *= extent
        if dtype in ("I8", "I32", "I64"):
            bound = 127 if dtype == "I8" else 1000
            values = [self.rng.randint(-bound, bound) for _ in range(count)]
            if label == "W8A8S" and dtype == "I8":  # sparse enough to be compressed
                values = [value if self.rng.random() < 0.3 else 0 for value in values]
        else:
            values = [self.rng.uniform(low, high) for _ in range(count)]
        self.tensors[name], self.labels[name] = tensor(dtype, shape, values), label

    def linear(self, module, n, k, label, inputs, bias):
        if label == "FLOAT":
            self.add(f"{module}.weight", self.dtype, [n, k])
        else:
            self.add(f"{module}.weight", "I8", [n, k], label)
        if bias:
            self.add(f"{module}.bias", self.dtype, [n])
        if label == "FLOAT":
            return
        if label not in ("W8A8", "W8A8S") or (label == "W8A8" and self.rng.random() < 0.5):
            self.add(f"{module}.weight_scale", self.scale, [n, 1], label, 0.001, 0.02)
            self.add(f"{module}.weight_offset", self.scale, [n, 1], label, 0.0, 0.0)
        if label in STATIC:
            self.tensors[f"{module}.input_scale"] = tensor(self.scale, [1], [inputs[0]])
            self.tensors[f"{module}.input_offset"] = tensor(self.scale, [1], [inputs[1]])
            self.add(f"{module}.quant_bias", "I32", [n], label)
            self.add(f"{module}.deq_scale", "F32", [n], label, 1e-5, 1e-3)
            if self.dtype == "F16":  # float bits
                held = self.tensors[f"{module}.deq_scale"]
                bits = [int.from_bytes(held.data[4 * i:4 * i + 4], "little", signed=True) for i in range(n)]
                self.tensors[f"{module}.deq_scale"] = tensor("I64", [n], bits)
            for part in ("input_scale", "input_offset"):
                self.labels[f"{module}.{part}"] = label

    def norm(self, module):
        self.add(f"{module}.weight", self.dtype, [self.hidden], low=0.5, high=1.5)

    def compose(self):
        self.add("model.embed_tokens.weight", self.dtype, [self.vocabulary, self.hidden])
        for layer in range(self.layers):
            prefix = f"model.layers.{layer}"
            biased = self.model == "qwen2"
            groups = {}
            for name, n, k, group in (("self_attn.q_proj", self.hidden, self.hidden, "qkv"), ("self_attn.k_proj", self.hidden // 2, self.hidden, "qkv"),
                                      ("self_attn.v_proj", self.hidden // 2, self.hidden, "qkv"), ("self_attn.o_proj", self.hidden, self.hidden, "o"),
                                      ("mlp.gate_proj", 2 * self.hidden, self.hidden, "gate"), ("mlp.up_proj", 2 * self.hidden, self.hidden, "gate"),
                                      ("mlp.down_proj", self.hidden, 2 * self.hidden, "down")):
                if group not in groups:
                    label = "FLOAT" if self.type == "FLOAT" or self.rng.random() < (0 if self.parts else 0.2) else self.type
                    groups[group] = label, (self.rng.randint(1, 60) / 1024, float(self.rng.randint(-128, 127)))
                self.linear(f"{prefix}.{name}", n, k, *groups[group], biased and group == "qkv")
            if self.cache:
                for projection in ("k_proj", "v_proj"):
                    for part in ("kv_cache_scale", "kv_cache_offset"):
                        self.add(f"{prefix}.self_attn.{projection}.{part}", self.scale, [self.hidden // 2], "C8", 0.01, 0.1)
            self.norm(f"{prefix}.input_layernorm")
            self.norm(f"{prefix}.post_attention_layernorm")
        self.norm("model.norm")
        self.tied = self.rng.random() < 0.4
        if not self.tied:
            self.add("lm_head.weight", self.dtype, [self.vocabulary, self.hidden])

    def write(self, folder):
        self.compose()
        folder.mkdir()
        config = {"architectures": [f"{self.model.capitalize()}ForCausalLM"], "model_type": self.model, "hidden_size": self.hidden, "intermediate_size": 2 * self.hidden,
                  "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": self.layers, "vocab_size": self.vocabulary,
                  "hidden_act": "silu", "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
                  "tie_word_embeddings": self.tied, "torch_dtype": {"BF16": "bfloat16", "F16": "float16"}[self.dtype]}
        (folder / "config.json").write_text(json.dumps(config, indent=2))
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(TOKENIZER / name, folder)
        names = list(self.tensors)
        shards = 1 if self.parts or self.npy or self.gguf else self.rng.randint(1, 3)
        stem = "model" if self.floats else "quant_model_weights"
        files = [f"{stem}-{i + 1:05d}-of-{shards:05d}.safetensors" for i in range(shards)]
        placed = {name: files[self.rng.randrange(shards)] for name in names}
        used = sorted(set(placed.values()))
        files = {old: f"{stem}-{i + 1:05d}-of-{len(used):05d}.safetensors" for i, old in enumerate(used)}
        weight_map = {name: files[placed[name]] for name in names}
        for file in files.values():
            write_safetensors(folder / file, {name: self.tensors[name] for name in names if weight_map[name] == file})
        total = sum(len(held.data) for held in self.tensors.values())
        (folder / f"{stem}.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}))
        if not self.floats:
            about = {"version": "1.0.0", "model_quant_type": self.type, "metadata": {}, "group_size": 0, "optional": {}}
            if self.cache:
                about.update(kv_cache_type="C8", kv_quant_type="C8")
            (folder / "quant_model_description.json").write_text(json.dumps({**self.labels, **about}))
        return folder


class RoundTrip(unittest.TestCase):
    def must(self, source, output, target, seed):
        options = ["--to", target]
        if target == "mindie-parts":
            options += ["--tp", str(1 + seed % 2)]
        result = convert(source, "-o", output, *options)
        self.assertEqual(result.returncode, 0, f"seed {seed}: {result.stderr}")
        (output / "slim_receipt.json").unlink()
        return output

    def test_every_exact_cell(self):
        loss = {(edge["from"], edge["to"]): edge["loss_class"] for edge in json.loads(convert("--list", "--json").stdout)["edges"]}
        # Quantized checkpoints have no exact way to hf and back; float ones have, and those go here.
        cells = sorted(cell for cell, kind in loss.items() if kind == "exact" and loss.get(cell[::-1]) == "exact")
        went = collections.Counter()
        for seed in range(COUNT):
            home, through = cells[seed % len(cells)]
            with tempfile.TemporaryDirectory() as scratch:
                folder = pathlib.Path(scratch)
                raw = RandomCheckpoint(seed, (home, through)).write(folder / "raw")
                if (home, through) == ("mindie-parts", "mindie"):  # whose parts have no version, because it has none
                    raw = self.must(raw, folder / "mindie", "mindie", seed)
                first = self.must(raw, folder / "a", home, seed)
                back = self.must(self.must(first, folder / "b", through, seed), folder / "c", home, seed)
                before, after = contents(first), contents(back)
                self.assertTrue(before == after, f"seed {seed}: {home} through {through}: "
                                f"{[name for name in before[0] if before[0][name] != after[0].get(name)] if isinstance(before, tuple) else ''}")
            went[home, through] += 1
        self.assertEqual(set(cells), set(went))
        print(f"{COUNT} checkpoints through {len(cells)} cells, exact there and back: equal")


if __name__ == "__main__":
    unittest.main()
