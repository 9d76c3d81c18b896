#!/usr/bin/env python3
"""Holds the ids of two megabytes of mixed text (tests/unit/text/tokenizer_mixed_test.cc makes it) against the tokenizers package, id
by id. `--digests` prints what that unit test compares with."""

import array
import os
import subprocess
import sys
import tempfile
import unittest

import tokenizers

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.dirname(os.environ.get("SLIM_BIN", os.path.join(ROOT, "build", "release", "bin")))
UNIT = os.path.join(BUILD, "tests", "unit_text")
MODELS = ("tiny-llama", "tiny-qwen2", "tiny-qwen3")


def digest(ids):
    value = 0xCBF29CE484222325
    for token in ids:
        value = (value ^ token) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def compare():
    """(model, ids of the package, ids of slim) of each model."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([UNIT, "--gtest_filter=TokenizerMixed.*"], env={**os.environ, "SLIM_MIXED_TEXT": folder},
                       stdout=subprocess.DEVNULL, timeout=300, check=False)
        with open(os.path.join(folder, "text"), encoding="utf-8", newline="") as file:
            text = file.read()
        for model in MODELS:
            package = tokenizers.Tokenizer.from_file(os.path.join(ROOT, "testdata", "models", model, "tokenizer.json"))
            with open(os.path.join(folder, model), "rb") as file:
                found = array.array("i", file.read()).tolist()
            yield model, package.encode(text, add_special_tokens=False).ids, found


class Mixed(unittest.TestCase):
    def test_every_id(self):
        for model, wanted, found in compare():
            with self.subTest(model):
                self.assertGreater(len(wanted), 300_000)
                self.assertTrue(wanted == found, model)


if __name__ == "__main__":
    if sys.argv[1:] == ["--digests"]:
        for name, wanted, _ in compare():
            print(f"{name} 0x{digest(wanted):016X}")
    else:
        unittest.main()
