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

    def check(self, name, limit):
        source = os.path.join(GOLDEN, name)
        converted = os.path.join(self.folder, "ct")
        run("slim-convert", source, "-o", converted, "--to", "compressed-tensors", "--no-fsync")
        model = AutoModelForCausalLM.from_pretrained(converted, dtype=torch.float32)
        model.eval()
        ids, ours = self.ours(source)
        with torch.no_grad():
            theirs = model(input_ids=torch.tensor(ids.astype("int64"))[None]).logits[0].double()
        p, q = torch.log_softmax(theirs, -1), torch.log_softmax(ours, -1)
        self.assertLessEqual((p.exp() * (p - q)).sum(-1).mean().item(), limit)
        self.assertGreaterEqual((theirs.argmax(-1) == ours.argmax(-1)).double().mean().item(), 0.97)

    def test_dynamic(self):
        self.check("one-click/mini-qwen2-float32/w8a8-smooth-dynamic", 1e-3)

    def test_static(self):
        self.check("one-click/mini-qwen2-float32/w8a8-static", 1e-3)


if __name__ == "__main__":
    unittest.main()
