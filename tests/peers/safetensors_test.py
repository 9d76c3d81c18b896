"""Holds slim's safetensors reader and writer against the safetensors package.

What slim-verify calls a sound container, the package loads; what the package writes, slim-verify accepts.
"""

import json
import os
import random
import subprocess
import tempfile
import unittest

import numpy
import safetensors
import safetensors.numpy

VERIFY = os.path.join(os.environ["SLIM_BIN"], "slim-verify")
MUTANTS = 1500


def slim_accepts(path):
    process = subprocess.run([VERIFY, "--quiet", path], capture_output=True, timeout=60, check=False)
    assert process.returncode in (0, 1, 3), (process.returncode, process.stderr)
    return process.returncode == 0


def reference_accepts(data):
    try:
        safetensors.deserialize(data)
    except safetensors.SafetensorError:
        return False
    return True


def sample():
    return safetensors.numpy.save({
        "model.layers.0.weight": numpy.arange(6, dtype=numpy.int8).reshape(2, 3),
        "model.layers.0.weight_scale": numpy.ones((2, 1), numpy.float32),
        "é": numpy.zeros((0, 4), numpy.float16),
        "deq_scale": numpy.array(5, dtype=numpy.int64),
    }, metadata={"format": "pt"})


def mutate(data, choose):
    """A few bytes of the header or the end changed, cut, doubled or replaced by what parsers trip over."""
    data = bytearray(data)
    header_end = 8 + int.from_bytes(data[:8], "little")
    for _ in range(choose.randint(1, 3)):
        place = choose.randrange(0, min(header_end + 4, len(data)))
        kind = choose.randrange(6)
        if kind == 0:
            data[place] ^= 1 << choose.randrange(8)
        elif kind == 1:
            data[place] = choose.choice(b'{}[]",:0123456789-+.eEtfn\\ \0\xff')
        elif kind == 2:
            del data[place:place + choose.randint(1, 4)]
        elif kind == 3:
            data[place:place] = choose.choice([b"0", b" ", b'"x":1,', b"null", b"\\u0000", b"1e0", b"18446744073709551616"])
        elif kind == 4:
            data[place:place] = data[place:place + choose.randint(1, 30)]
        else:
            data = data[:len(data) - choose.randint(1, 5)]
        if choose.random() < 0.7:  # keep the length right, so that the parser and not the length is tried
            grown = len(data) - len(sample())
            data[:8] = max(header_end - 8 + grown, 0).to_bytes(8, "little")
    return bytes(data)


class Safetensors(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "model.safetensors")

    def write(self, data):
        with open(self.path, "wb") as file:
            file.write(data)

    def test_what_the_package_writes_is_accepted(self):
        dtypes = ["bool", "uint8", "int8", "uint16", "int16", "float16", "uint32", "int32", "float32", "uint64", "int64", "float64"]
        for dtype in dtypes:
            with self.subTest(dtype=dtype):
                self.write(safetensors.numpy.save({"a": numpy.zeros((3, 2), dtype), "b": numpy.zeros((), dtype)}))
                self.assertTrue(slim_accepts(self.path))

    def test_slim_accepts_nothing_that_the_package_refuses(self):
        choose = random.Random(20240607)
        original = sample()
        accepted = 0
        for number in range(MUTANTS):
            data = mutate(original, choose)
            self.write(data)
            if slim_accepts(self.path):
                accepted += 1
                self.assertTrue(reference_accepts(data), f"mutant {number}: {data!r}")
        self.assertGreater(accepted, MUTANTS // 100)

    def test_the_corpus_is_judged_no_looser_than_by_the_package(self):
        cases = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "corpus", "cases.tsv")
        compared = 0
        with open(cases, encoding="ascii") as file:
            for line in file:
                if line.startswith("#"):
                    continue
                name, length, header, data, verdict, _ = (line.rstrip("\n") + "\t").split("\t")[:6]
                if header.startswith("@") or length == "none" or verdict != "accept":
                    continue
                text = header.encode("ascii").decode("unicode_escape").encode("latin-1")
                count, _, digits = data.rpartition("*")
                body = bytes.fromhex(digits) * int(count or 1)
                prefix = len(text) if length == "auto" else int(length)
                with self.subTest(case=name):
                    self.assertTrue(reference_accepts(prefix.to_bytes(8, "little") + text + body))
                compared += 1
        self.assertGreater(compared, 30)

    def test_models_read_the_same(self):
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        path = os.path.join(root, "testdata", "models", "tiny-llama", "model.safetensors")
        listing = subprocess.run([VERIFY, "--list", path, "--json"], capture_output=True, check=True, timeout=60).stdout
        listed = {tensor["name"]: tensor for tensor in json.loads(listing)["tensors"]}
        with safetensors.safe_open(path, "np") as file:
            self.assertEqual(sorted(listed), sorted(file.keys()))
            for name in file.keys():
                self.assertEqual(listed[name]["shape"], file.get_slice(name).get_shape())
                self.assertEqual(listed[name]["dtype"], file.get_slice(name).get_dtype())


if __name__ == "__main__":
    unittest.main()
