#!/usr/bin/env python3
"""valgrind memcheck over command lines of every tool: no byte that was never written gets into an output. (check.sh --long; libraries
that the programs load may read what they like of their own.)"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
MODEL = ROOT / "testdata" / "golden" / "models" / "mini-qwen2-bfloat16"
COMMANDS = [
    ["slim-quant", "float", "-o", "w8a16", "--type", "w8a16"],
    ["slim-quant", "float", "-o", "w4a8", "--type", "w4a8", "--weight-method", "minmax", "--smooth", "none", "--clip", "none"],
    ["slim-convert", "w8a16", "-o", "mindie", "--to", "mindie"],
    ["slim-convert", "float", "-o", "gguf", "--to", "gguf"],
    ["slim-convert", "w8a16", "-o", "back", "--dequantize"],
    ["slim-verify", "--deep", "w8a16", "w4a8"],
    ["slim-verify", "--manifest", "write", "w8a16"],
    ["slim-run", "w8a16", "-p", "Hi", "-n", "1", "--backend", "reference", "--logits", "logits"],
    ["slim-diff", "float", "w8a16", "--prompts", "prompts.txt", "--tokens", "8", "--windows", "1", "--backend", "reference"],
]


@unittest.skipUnless(shutil.which("valgrind"), "valgrind is not installed")
class Memcheck(unittest.TestCase):
    def test_outputs_hold_no_uninitialised_byte(self):
        with tempfile.TemporaryDirectory(prefix="slim-memcheck-") as scratch:
            folder = pathlib.Path(scratch)
            shutil.copytree(MODEL, folder / "float")
            (folder / "prompts.txt").write_text("The quick brown fox jumps over the lazy dog.")
            for words in COMMANDS:
                # valgrind knows no AVX-512.
                result = subprocess.run(["valgrind", "--quiet", "--error-exitcode=99", "--undef-value-errors=yes", "--leak-check=no", BIN / words[0],
                                         *words[1:], "--threads", "1"], cwd=folder, capture_output=True, text=True, timeout=900, check=False,
                                        env=dict(os.environ, SLIM_ISA="avx2"))
                with self.subTest(words=words):
                    reports = re.findall(r"^==\d+== (.*(?:uninitialised|Invalid).*)$", result.stderr, re.M)
                    self.assertEqual(reports, [], result.stderr[-3000:])
                    self.assertEqual(result.returncode, 0, result.stderr[-3000:])


if __name__ == "__main__":
    unittest.main()
