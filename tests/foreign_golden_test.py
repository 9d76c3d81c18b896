#!/usr/bin/env python3
"""Checkpoints that other programs wrote (testdata/slices), to ascendv1 and back: compressed-tensors of msModelSlim, put together from
a golden of the same codes and checked by digest, and slices of golden-stick's W4A16, W8A8 and mixed outputs, each tensor recomputed
here from its bytes (facts: formats.md 4, ecosystem.md 1.3 A and H)."""

import hashlib
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import unittest

from checkpoint_files import deq_values, read_safetensors, row_sums, write_safetensors

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
SLICES = ROOT / "testdata" / "slices"
STATIC_ONLY = ("deq_scale", "quant_bias", "input_offset", "weight_offset")


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def digest(tensors):
    hasher = hashlib.sha256()
    for name in sorted(tensors):
        hasher.update(json.dumps([name, tensors[name].dtype, tensors[name].shape]).encode())
        hasher.update(tensors[name].data)
    return hasher.hexdigest()


def weights_of(folder):
    return read_safetensors(next(pathlib.Path(folder).glob("*.safetensors")))


class Foreign(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name)

    def convert(self, path, name, *options):
        output = self.folder / name
        command = [BIN / "slim-convert", path, "-o", output, "--no-fsync", *options]
        result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return output

    def verify(self, path, *options):
        command = [str(part) for part in (BIN / "slim-verify", "--deep", *options, path)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        self.assertEqual(result.returncode, 0, result.stdout)

    def same(self, found, wanted, name):
        self.assertEqual((found[name].dtype, found[name].shape, found[name].data), (wanted[name].dtype, wanted[name].shape, wanted[name].data), name)

    def compressed_tensors(self, name):
        about = json.loads((SLICES / "compressed-tensors" / name / "digest.json").read_text())
        base = weights_of(ROOT / "testdata" / "golden" / "one-click" / about["base"])
        tensors = {key: held for key, held in base.items() if not key.endswith(STATIC_ONLY)}
        tensors.update(read_safetensors(SLICES / "compressed-tensors" / name / "delta.safetensors"))
        self.assertEqual(digest(tensors), about["sha256"], "not what msModelSlim wrote")
        path = self.folder / name
        path.mkdir()
        write_safetensors(path / "model.safetensors", tensors)
        shutil.copy(SLICES / "compressed-tensors" / name / "config.json", path)
        return path, tensors

    def test_compressed_tensors_of_msmodelslim(self):
        for name in ("ct-static", "ct-static-asym", "ct-dynamic"):
            path, tensors = self.compressed_tensors(name)
            found = weights_of(self.convert(path, f"{name}-a1", "--to", "ascendv1"))
            modules = [key.removesuffix(".weight") for key in tensors if tensors[key].dtype == "I8"]
            self.assertGreater(len(modules), 7)
            for module in modules:
                self.same(found, tensors, f"{module}.weight")
                scales = tensors[f"{module}.weight_scale"].values()
                if name == "ct-dynamic":
                    self.assertEqual(found[f"{module}.weight_scale"].values(), scales)
                    continue
                step = tensors[f"{module}.input_scale"].values()[0]
                zero = tensors.get(f"{module}.input_zero_point")
                offset = zero.values()[0] if zero else 0.0
                self.assertEqual(found[f"{module}.input_scale"].values(), [step])
                self.assertEqual(found[f"{module}.input_offset"].values(), [offset])
                deq = deq_values(found[f"{module}.deq_scale"])
                self.assertEqual(deq, [f32(step * scale) for scale in scales])
                bias = tensors[f"{module}.bias"].values() if f"{module}.bias" in tensors else [0.0] * len(deq)
                sums = row_sums(tensors[f"{module}.weight"])
                for got, b, d, total in zip(found[f"{module}.quant_bias"].values(), bias, deq, sums):
                    self.assertLessEqual(abs(got - (b / d - offset * total)), 0.51 + abs(b / d) * 2**-22)
            self.verify(self.folder / f"{name}-a1")
        # One command from there to a loader.
        dynamic = self.convert(self.folder / "ct-dynamic", "vllm", "--for", "vllm-ascend")
        self.verify(dynamic, "--for", "vllm-ascend")

    def test_golden_stick_int4(self):
        for name, module in (("tiny-qwen3-a16w4-g64", "model.layers.0.self_attn.k_proj"),
                             ("tiny-qwen3-a16w4-gptq-g64", "model.layers.1.self_attn.v_proj")):
            source = SLICES / "golden-stick" / name
            golden = weights_of(source)
            ascend = self.convert(source, f"{name}-a1", "--to", "ascendv1")
            found = weights_of(ascend)
            inputs, half = golden[f"{module}.weight"].shape
            groups, outputs = golden[f"{module}.weight_scale"].shape
            stored, packed = golden[f"{module}.weight"].data, found[f"{module}.weight"]
            self.assertEqual(packed.shape, [outputs // 2, inputs])  # two rows a byte, the low nibble is the even row
            for i in range(outputs):
                for j in range(inputs):
                    theirs = stored[j * half + i // 2] >> (4 * (i % 2)) & 15
                    ours = packed.data[i // 2 * inputs + j] >> (4 * (i % 2)) & 15
                    self.assertEqual(ours, theirs)
            scales = golden[f"{module}.weight_scale"].values()
            self.assertEqual(found[f"{module}.weight_scale"].shape, [outputs, groups])
            self.assertEqual(found[f"{module}.weight_scale"].values(), [scales[g * outputs + i] for i in range(outputs) for g in range(groups)])
            again = weights_of(self.convert(ascend, f"{name}-gs", "--to", "golden-stick"))
            self.assertEqual(again.keys(), golden.keys())
            for tensor in golden:
                self.same(again, golden, tensor)

    def test_golden_stick_static_and_dynamic(self):
        for name in ("tiny-qwen3-a8w8-smooth", "tiny-qwen3-a8w8-smooth-w2dyn"):
            source = SLICES / "golden-stick" / name
            golden = weights_of(source)
            ascend = self.convert(source, f"{name}-a1", "--to", "ascendv1")
            found = weights_of(ascend)
            labels = json.loads((ascend / "quant_model_description.json").read_text())
            static = "model.layers.0.self_attn.k_proj"
            self.assertEqual(labels[f"{static}.weight"], "W8A8")
            self.same(found, golden, f"{static}.weight")
            self.assertEqual(deq_values(found[f"{static}.deq_scale"]), golden[f"{static}.deq_scale"].values())
            self.assertEqual(found[f"{static}.input_scale"].values(), golden[f"{static}.input_scale"].values()[:1])
            offset = golden[f"{static}.input_offset"].values()[0]
            exact = [int(-offset * total) for total in row_sums(golden[f"{static}.weight"])]
            self.assertEqual(found[f"{static}.quant_bias"].values(), exact)
            off = max(abs(a - b) for a, b in zip(exact, golden[f"{static}.quant_bias"].values()))
            receipt = json.loads((ascend / "slim_receipt.json").read_text())
            notes = [note["note"] for note in receipt["notes"] if note["layer"] == f"{static}.weight"]
            self.assertTrue(any(f"quant_bias was up to {off} off its exact value" in note for note in notes), (off, notes))
            if name.endswith("w2dyn"):
                dynamic = "model.layers.0.mlp.down_proj"
                self.assertEqual(labels[f"{dynamic}.weight"], "W8A8_DYNAMIC")
                self.same(found, golden, f"{dynamic}.weight")
                self.assertEqual(found[f"{dynamic}.weight_scale"].values(), golden[f"{dynamic}.weight_scale"].values())
            again = weights_of(self.convert(ascend, f"{name}-gs", "--to", "golden-stick"))
            for tensor in golden:
                if tensor != f"{static}.quant_bias":
                    self.same(again, golden, tensor)


if __name__ == "__main__":
    unittest.main()
