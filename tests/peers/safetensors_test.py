"""Holds slim's safetensors reader and writer against the safetensors package.

What slim-verify calls a sound container, the package loads; what the package writes, slim-verify accepts. SLIM_RECORD=1 writes
tests/corpus/mutants.hex.
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import numpy
import safetensors
import safetensors.numpy

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import container_mutants  # noqa: E402

VERIFY = os.path.join(os.environ["SLIM_BIN"], "slim-verify")


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

    def test_the_record_of_mutants_is_what_the_package_says(self):
        said = [reference_accepts(data) for data in container_mutants.mutants()]
        if os.environ.get("SLIM_RECORD"):
            container_mutants.record(said)
        self.assertEqual(said, container_mutants.answers())

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
