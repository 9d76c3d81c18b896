#!/usr/bin/env python3
"""slim-convert --plan --json is what the run then does: the same tensors with names, dtypes, shapes, labels and losses as the run's own
JSON, and as the files that it wrote; nothing is written by the plan. Over the dialects that are written, parts among them."""

import json
import pathlib
import subprocess
import tempfile
import unittest

from checkpoint_files import read_safetensors
from matrix_test import BIN, GOLDEN, ONE_CLICK, ROOT, TRADITIONAL, UNBIASED, sparse


class Plan(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name)

    def json_of(self, *arguments):
        command = [str(argument) for argument in (BIN / "slim-convert", *arguments, "--json", "--no-fsync")]
        result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def check(self, source, *options):
        output = self.folder / "out"
        plan = self.json_of(source, *options, "--plan")
        self.assertFalse(output.exists())
        done = self.json_of(source, "-o", output, *options)
        where = f"{source} {options}"
        told = {"kind", "output", "tensors"}
        self.assertEqual({key: plan[key] for key in plan if key not in told}, {key: done[key] for key in done if key not in told}, where)
        for tensor in [*plan["tensors"], *done["tensors"]]:
            del tensor["reason"]  # the run adds what it found
        self.assertEqual(plan["tensors"], done["tensors"], where)
        planned = {tensor["name"]: (tensor["dtype_to"], tensor["shape"]) for tensor in plan["tensors"] if tensor["action"] != "dropped"}
        written = {}
        for path in sorted(output.rglob("*.safetensors")):
            prefix = "" if path.parent == output else f"{path.parent.name}/"
            for name, held in read_safetensors(path).items():
                written[prefix + name] = held.dtype, held.shape
        if written:  # gguf and npy have their own names
            self.assertEqual(planned, written, where)
            self.assertEqual(plan["bytes"], sum(len(held.data) for path in output.rglob("*.safetensors") for held in read_safetensors(path).values()))
        subprocess.run(["rm", "-r", str(output)], check=True)

    def test_family(self):
        for source in (TRADITIONAL / "m0-w8a8-m4", ONE_CLICK / "w8a8-static"):
            for target in ("ascendv1", "ascendv1-v0", "mindie"):
                self.check(source, "--to", target)
        self.check(TRADITIONAL / "m0-w8a8", "--to", "mindie", "--dtype", "bf16")
        self.check(TRADITIONAL / "m0-w8a16-asym", "--for", "vllm-ascend")
        self.check(GOLDEN / "models" / "mini-qwen2-bfloat16", "--to", "ascendv1", "--part-size", "100KB")

    def test_other_ecosystems(self):
        for target in ("compressed-tensors", "golden-stick", "gptq", "npy", "gguf"):
            self.check(UNBIASED, "--to", target, "--allow-loss")
        self.check(ONE_CLICK / "w8a16", "--dequantize")
        self.check(ROOT / "testdata" / "foreign" / "golden-stick" / "mini-qwen2-a8w8-smooth", "--to", "ascendv1")

    def test_parts(self):
        source = sparse(self.folder / "sparse")
        for ranks in ("1", "2", "4"):
            self.check(source, "--to", "mindie-parts", "--tp", ranks, "--dtype", "fp16", "--allow-loss")
        self.json_of(source, "-o", self.folder / "parts", "--to", "mindie-parts", "--tp", "2", "--dtype", "fp16", "--allow-loss")
        for target in ("ascendv1", "ascendv1-v0", "mindie"):
            self.check(self.folder / "parts", "--to", target)


if __name__ == "__main__":
    unittest.main()
