#!/usr/bin/env python3
"""golden-stick beside its goldens: the older rank_{i} layout, made of a golden by renaming and splitting as golden-stick's own loader
does (facts: ecosystem.md 1.3 H), gives the same checkpoint as the golden itself; an input_scale that differs between columns is folded
to one with a declared loss; int4 (W4A16) is written and comes back."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from checkpoint_files import Tensor, read_safetensors, tensor, write_safetensors

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
GOLDEN = ROOT / "testdata" / "foreign" / "golden-stick" / "mini-qwen2-a8w8-smooth"
MODULES = {"self_attn.q_proj": "attention.wq", "self_attn.k_proj": "attention.wk", "self_attn.v_proj": "attention.wv",
           "self_attn.o_proj": "attention.wo", "mlp.gate_proj": "feed_forward.w1", "mlp.up_proj": "feed_forward.w3",
           "mlp.down_proj": "feed_forward.w2"}
PARTS = {"weight": "._layer.weight", "bias": "._layer.bias", "deq_scale": "._layer.matmul.dequant_scale",
         "quant_bias": "._layer.matmul.quant_bias", "input_scale": ".quant_op.input_scale", "input_offset": ".quant_op.input_zp"}
PLAIN = {"input_layernorm.weight": "attention_norm.weight", "post_attention_layernorm.weight": "ffn_norm.weight"}
BY_COLUMNS = ("attention.wo", "feed_forward.w2")


def convert(*arguments):
    return subprocess.run([str(argument) for argument in (BIN / "slim-convert", *arguments, "--no-fsync")], capture_output=True,
                          text=True, timeout=600, check=False)


def older_name(name):
    """None for what the older layout does not have."""
    if "embed_tokens" in name:
        return "model.tok_embeddings.embedding_weight"
    if name == "model.norm.weight":
        return "model.norm_out.weight"
    if not name.startswith("model.layers."):
        return name
    prefix, rest = ".".join(name.split(".")[:3]), ".".join(name.split(".")[3:])
    if rest in PLAIN:
        return f"{prefix}.{PLAIN[rest]}"
    module, part = rest.rsplit(".", 1)
    return f"{prefix}.{MODULES[module]}{PARTS[part]}" if part in PARTS else None


def share(name, held, rank, ranks):
    """The rank's part of a tensor under its older name."""
    part = next((part for part, suffix in PARTS.items() if name.endswith(suffix)), None)
    columns = any(module in name for module in BY_COLUMNS)
    is_input = part in ("input_scale", "input_offset")
    width = len(held.data) // (held.shape[0] if held.shape else 1)
    if ranks == 1 or (part is None and "tok_embeddings" not in name and "lm_head" not in name):
        return held
    if columns and part == "weight":
        rows, row = held.shape[0], width
        step = row // ranks
        data = b"".join(held.data[i * row + rank * step:i * row + (rank + 1) * step] for i in range(rows))
        return Tensor(held.dtype, [rows, held.shape[1] // ranks], data)
    if columns != is_input:
        if columns and part == "quant_bias":  # partial sums: all of it in rank 0
            return held if rank == 0 else Tensor(held.dtype, held.shape, bytes(len(held.data)))
        return held
    rows = held.shape[0] // ranks
    return Tensor(held.dtype, [rows, *held.shape[1:]], held.data[rank * rows * width:(rank + 1) * rows * width])


class GoldenStick(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name)
        self.golden = read_safetensors(GOLDEN / "quant-model-00001-of-00001.safetensors")

    def ranks(self, count, change=lambda name, held, rank: held):
        path = self.folder / f"ranks-{count}"
        shutil.rmtree(path, ignore_errors=True)
        for rank in range(count):
            (path / f"rank_{rank}").mkdir(parents=True)
            shares = {}
            for name, held in self.golden.items():
                older = older_name(name)
                if older is not None:
                    shares[older] = change(older, share(older, held, rank, count), rank)
            write_safetensors(path / f"rank_{rank}" / "checkpoint.safetensors", {name: held for name, held in shares.items() if held})
        shutil.copy(GOLDEN / "config.json", path)
        return path

    def converted(self, path, *options):
        output = self.folder / "out"
        shutil.rmtree(output, ignore_errors=True)
        result = convert(path, "-o", output, *(options or ("--to", "ascendv1")))
        self.assertEqual(result.returncode, 0, result.stderr)
        return read_safetensors(next(output.glob("*.safetensors"))), json.loads((output / "slim_receipt.json").read_text())

    def refused(self, path, rule, *words):
        result = convert(path, "-o", self.folder / "refused", "--to", "ascendv1")
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertIn(f"[{rule}]", result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertFalse((self.folder / "refused").exists())

    def test_ranks_give_what_the_newer_layout_gives(self):
        wanted, _ = self.converted(GOLDEN)
        for count in (1, 2):
            found, receipt = self.converted(self.ranks(count))
            self.assertEqual(receipt["loss_class"], "exact")
            self.assertEqual(found.keys(), wanted.keys())
            for name, held in wanted.items():
                self.assertEqual((found[name].dtype, found[name].shape, found[name].data), (held.dtype, held.shape, held.data), name)
        floats, _ = self.converted(self.ranks(2), "--dequantize", "--dtype", "fp32")
        newer, _ = self.converted(GOLDEN, "--dequantize", "--dtype", "fp32")
        for name, held in newer.items():
            for a, b in zip(floats[name].values(), held.values()):
                self.assertAlmostEqual(a, b, delta=1e-6 * max(1e-3, abs(b)), msg=name)

    def test_bad_ranks_are_refused_by_name(self):
        path = self.ranks(2)
        shutil.move(path / "rank_0", path / "rank_2")
        self.refused(path, "CK-ranks", "rank_0 is missing")
        norm = "model.layers.0.attention_norm.weight"
        self.refused(self.ranks(2, lambda name, held, rank: None if name == norm and rank == 1 else held), "CK-ranks", "in 1 of 2 ranks")
        self.refused(self.ranks(2, lambda name, held, rank: Tensor(held.dtype, held.shape, held.data[::-1]) if name == norm and rank else held),
                     "CK-ranks", f"rank_1/{norm}", "differs from rank 0")
        beta = "model.layers.0.attention.wq.quant_op.input_zp"
        path = self.ranks(1)
        held = read_safetensors(path / "rank_0" / "checkpoint.safetensors")
        held["model.layers.0.attention.wq.quant_op.beta"] = tensor("F16", [64], [0.5] * 64)
        write_safetensors(path / "rank_0" / "checkpoint.safetensors", held)
        self.refused(path, "CV-smooth-scale", "beta")
        del held["model.layers.0.attention.wq.quant_op.beta"], held[beta]
        write_safetensors(path / "rank_0" / "checkpoint.safetensors", held)
        self.refused(path, "CK-missing-tensor", "q_proj.input_offset")
        held["model.layers.0.attention.w_qkv._layer.weight"] = tensor("I8", [2, 2], [0] * 4)
        write_safetensors(path / "rank_0" / "checkpoint.safetensors", held)
        self.refused(path, "CV-name", "w_qkv", "qkv_concat")
        (path / "rank_0" / "quant_model_description.json").write_text("{}")
        self.refused(path, "CK-ranks", "interrupted distributed run")

    def test_columns_that_differ_are_folded_with_a_declared_loss(self):
        path = self.folder / "columns"
        shutil.copytree(GOLDEN, path)
        weights = path / "quant-model-00001-of-00001.safetensors"
        weights.chmod(0o644)
        name = "model.layers.0.mlp.up_proj"
        scales = self.golden[f"{name}.input_scale"]
        values = [value * (1 + j % 3 / 2) for j, value in enumerate(scales.values())]
        for module in (name, "model.layers.0.mlp.gate_proj"):
            self.golden[f"{module}.input_scale"] = tensor(scales.dtype, scales.shape, values)
        write_safetensors(weights, self.golden)
        self.refused(path, "CV-loss", "mlp.gate_proj.weight", "SQNR", "--allow-loss")
        found, receipt = self.converted(path, "--to", "ascendv1", "--allow-loss")
        self.assertEqual(receipt["loss_class"], "requantized")
        notes = [note["note"] for note in receipt["notes"] if name in note["layer"]]
        self.assertTrue(any("differs between columns" in note and "SQNR" in note for note in notes), notes)
        # The function of the layer: the float weight deq * codes / input_scale, less a step of the new codes.
        stored = self.golden[f"{name}.input_scale"].values()
        deq, codes = self.golden[f"{name}.deq_scale"].values(), self.golden[f"{name}.weight"]
        rows, columns = codes.shape
        old, new = codes.values(), found[f"{name}.weight"].values()
        step = [a / found[f"{name}.input_scale"].values()[0] for a in found[f"{name}.deq_scale"].values()]
        for i in range(rows):
            for j in range(columns):
                weight = old[i * columns + j] * deq[i] / stored[j]
                self.assertLessEqual(abs(new[i * columns + j] * step[i] - weight), 0.501 * step[i])
        # Members of a fused layer that differ are the source's fault, and said so.
        up = dict(self.golden)
        up[f"{name}.input_scale"] = scales
        other = shutil.copytree(path, self.folder / "other")
        write_safetensors(other / weights.name, up)
        self.refused(other, "CV-loss")
        result = convert(other, "-o", self.folder / "refused", "--to", "ascendv1", "--allow-loss")
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertIn("the source is not fit for conversion", result.stderr)
        floats, _ = self.converted(path, "--dequantize", "--dtype", "fp32")
        for j in range(columns):
            self.assertAlmostEqual(floats[f"{name}.weight"].values()[j], old[j] * deq[0] / stored[j], places=6)


if __name__ == "__main__":
    unittest.main()
