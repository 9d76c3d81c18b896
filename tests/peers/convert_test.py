#!/usr/bin/env python3
"""Holds what slim-convert writes for other ecosystems against their own packages: compressed-tensors checkpoints are loaded
by transformers with the compressed-tensors package and give the logits that slim-run gives of the source."""

import os
import shutil
import subprocess
import tempfile
import unittest

import torch
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("SLIM_BIN", os.path.join(ROOT, "build", "release", "bin"))
GOLDEN = os.path.join(ROOT, "testdata", "golden")

torch.set_num_threads(1)


def run(tool, *words, text=None):
    process = subprocess.run([os.path.join(BIN, tool), *words], input=text, capture_output=True, text=True, timeout=600,
                             check=False)
    assert process.returncode == 0, f"{tool} {' '.join(words)}: exit {process.returncode}\n{process.stderr}"


def divergence(a, b):
    """Mean KL(a || b) in nats a token."""
    p, q = torch.log_softmax(a, -1), torch.log_softmax(b, -1)
    return (p.exp() * (p - q)).sum(-1).mean().item()


class ConvertTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="slim-")
        self.addCleanup(shutil.rmtree, self.folder)
        with open(os.path.join(GOLDEN, "held-out-text.txt"), encoding="utf-8") as file:
            self.text = file.read()[:600]

    def ours(self, checkpoint):
        path = os.path.join(self.folder, "logits.safetensors")
        run("slim-run", checkpoint, "-", "-n", "0", "--logits", path, "--force", text=self.text)
        tensors = load_file(path)
        return tensors["input_ids"], torch.tensor(tensors["logits"]).double()

    def load(self, path):
        return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()

    def logits(self, model, ids):
        with torch.no_grad():
            return model(input_ids=torch.tensor(ids.astype("int64"))[None]).logits[0].double()

    def check(self, name, limit):
        source = os.path.join(GOLDEN, name)
        converted = os.path.join(self.folder, "ct")
        run("slim-convert", source, "-o", converted, "--to", "compressed-tensors", "--no-fsync")
        ids, ours = self.ours(source)
        self.assertLessEqual(divergence(self.logits(self.load(converted), ids), ours), limit)

    def test_dynamic(self):
        # Loaders quantize a token by different rules: NPU kernels and slim-run by amax / 127, compressed-tensors by
        # 2 amax / 255. With one rule each side gives the logits of the dequantized model.
        source = os.path.join(GOLDEN, "one-click/mini-qwen2-float32/w8a8-smooth-dynamic")
        converted, floats = os.path.join(self.folder, "ct"), os.path.join(self.folder, "float")
        run("slim-convert", source, "-o", converted, "--to", "compressed-tensors", "--no-fsync")
        run("slim-convert", source, "-o", floats, "--dequantize", "--dtype", "fp32", "--no-fsync")
        ids, ours = self.ours(source)
        theirs, model = self.logits(self.load(converted), ids), self.load(floats)
        divisor = [127.0]

        def quantize(_, inputs):
            scale = inputs[0].abs().amax(-1, keepdim=True) / divisor[0]
            return (torch.clamp(torch.round(inputs[0] / scale), -128, 127) * scale,)

        for name, module in model.named_modules():
            if isinstance(module, torch.nn.Linear) and name != "lm_head":
                module.register_forward_pre_hook(quantize)
        self.assertLessEqual(divergence(self.logits(model, ids), ours), 1e-4)
        divisor[0] = 127.5
        self.assertLessEqual(divergence(theirs, self.logits(model, ids)), 1e-9)

    def test_static(self):
        self.check("one-click/mini-qwen2-float32/w8a8-static", 1e-3)


if __name__ == "__main__":
    unittest.main()
