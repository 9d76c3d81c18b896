#!/usr/bin/env python3
"""slim-quant's memory does not grow with the depth of the model, stays below embeddings, two blocks and activations beside the program itself,
and is what --max-memory asks for: enough, and little more. tiny-qwen2 with its blocks repeated; prints the peaks. bench/calibrated_memory.sh
has the shape of 0.5 billion parameters."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from checkpoint_files import read_safetensors, write_safetensors
from measured_run import run_measured

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
MODEL = ROOT / "testdata" / "models" / "tiny-qwen2"
MIB = 1 << 20
PROGRAM = 24 * MIB  # code, libraries, tokenizer, buffers
KINDS = ("--type w8a8", "--type w8a8 --propagate quantized", "--type w4a8c8 --smooth iter", "--type w8a8 --weight-method gptq")
# Sanitizers keep freed memory.
INSTRUMENTED = "release" not in str(BIN)


def make(folder, layers):
    """Gives the bytes of embeddings and two blocks."""
    shutil.copytree(MODEL, folder)
    config = json.loads((folder / "config.json").read_text())
    there, config["num_hidden_layers"] = config["num_hidden_layers"], layers
    (folder / "config.json").write_text(json.dumps(config))
    tensors = read_safetensors(MODEL / "model.safetensors")
    blocks = {name: held for name, held in tensors.items() if ".layers." in name}
    rest = {name: held for name, held in tensors.items() if name not in blocks}
    for layer in range(layers):
        prefix = f".layers.{layer % there}."
        rest |= {name.replace(prefix, f".layers.{layer}."): held for name, held in blocks.items() if prefix in name}
    (folder / "model.safetensors").unlink()
    write_safetensors(folder / "model.safetensors", rest)
    block = sum(len(held.data) for name, held in blocks.items() if ".layers.0." in name)
    return len(tensors["model.embed_tokens.weight"].data) + 2 * block


def foreseen(command):
    said = subprocess.run([*command, "--max-memory", "1"], capture_output=True, text=True, check=False).stderr
    return float(re.search(r"this run needs ([0-9.]+) MiB", said).group(1)) * MIB


@unittest.skipIf(INSTRUMENTED, "needs a release build")
class Memory(unittest.TestCase):
    def test_peaks(self):
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch)
            lines = (ROOT / "testdata" / "golden" / "calib.jsonl").read_text().splitlines()[:2]
            (folder / "calib.jsonl").write_text("\n".join(lines))
            held = max(make(folder / str(layers), layers) for layers in (6, 24))
            activations = 4 * sum(map(len, lines)) * 256  # a token a letter at most
            for kind in KINDS:
                with self.subTest(kind):
                    self.check(folder, kind, PROGRAM + held + activations)

    def check(self, folder, kind, bound):
        peaks = {}
        for layers in (6, 24):
            command = [BIN / "slim-quant", folder / str(layers), "-o", folder / "out", "--calib", folder / "calib.jsonl", "--no-fsync", "-q",
                       "--force", *kind.split()]
            need = foreseen(command)
            run = run_measured(command)
            self.assertEqual(run.code, 0, run.error)
            print(f"{kind}, {layers} blocks: {run.peak / MIB:.1f} MiB, foreseen {need / MIB:.1f}, bound {bound / MIB:.1f}, {run.seconds:.1f} s")
            self.assertLessEqual(run.peak, need)
            self.assertLessEqual(need, 1.3 * run.peak + 8 * MIB)
            self.assertLessEqual(run.peak, bound)
            peaks[layers] = run.peak
        self.assertLessEqual(peaks[24], peaks[6] + 4 * MIB)


if __name__ == "__main__":
    unittest.main()
