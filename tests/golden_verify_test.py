#!/usr/bin/env python3
"""Every golden checkpoint passes the rules of its own dialect, read to the last value: those in testdata/, and those that are in
../shared only where that is at hand (skipped elsewhere). What the peer's own writers do wrong (facts: formats.md 13) is reported for
the loaders that it breaks."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from checkpoint_files import Checkpoint, copy_of  # noqa: E402
from loader_mutations import relabel  # noqa: E402

TESTDATA = ROOT / "testdata"
SHARED = ROOT.parent / "shared"
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
TRADITIONAL = TESTDATA / "golden" / "traditional" / "mini-qwen2-bfloat16"
DYNAMIC = TESTDATA / "golden" / "one-click" / "mini-qwen2-bfloat16" / "w8a8-dynamic"
LOADERS = ("mindie", "mindie-atb", "vllm-ascend", "sglang")
DIALECTS = {"hf", "ascendv1", "ascendv1-v0", "mindie", "compressed-tensors", "golden-stick"}


def reports(paths, *arguments):
    result = subprocess.run([BIN / "slim-verify", "--json", *arguments, "-"], input="".join(f"{path}\n" for path in paths),
                            capture_output=True, text=True, timeout=600, check=False)
    return json.loads(result.stdout)["reports"]


class Goldens(unittest.TestCase):
    def check(self, folders):
        paths = sorted(path.parent for folder in folders for path in folder.rglob("config.json"))
        found = reports(paths, "--deep")
        self.assertEqual(len(found), len(paths))
        for report in found:
            self.assertNotIn("error", report)
            errors = [finding for finding in report["findings"] if finding["severity"] == "error"]
            self.assertEqual(errors, [], report["path"])
        print(f"{len(paths)} checkpoints without an error in {folders[0].parent.name}/")
        return {report["dialect"] for report in found}

    def test_shipped(self):
        self.check([TESTDATA / "golden", TESTDATA / "foreign", TESTDATA / "models"])

    @unittest.skipUnless((SHARED / "golden").is_dir(), "../shared is not at hand")
    def test_all(self):
        self.assertEqual(self.check([SHARED / "golden", SHARED / "models"]), DIALECTS)


class PeersWriters(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name)

    def errors(self, path, loader):
        report, = reports([path], "--for", loader)
        return {finding["rule"] for finding in report["findings"] if finding["severity"] == "error"}

    def test_i64_deq_scale_beside_bfloat16(self):
        """The traditional scripts on a CPU (13.2)."""
        for loader in LOADERS:
            self.assertIn("LD-deq-flavour", self.errors(TRADITIONAL / "a0-w8a8", loader), loader)
            self.assertNotIn("LD-deq-flavour", self.errors(TRADITIONAL / "a0-w8a8-dynamic", loader), loader)

    def test_float_as_type_of_w4a8(self):
        """The one-click writer's priority list lacks W4A8_DYNAMIC (13.8): MindIE's runner refuses the model type."""
        folder = copy_of(DYNAMIC, self.folder / "w4a8")
        checkpoint = Checkpoint(folder)
        relabel(checkpoint, "W4A8_DYNAMIC")
        checkpoint.write()
        self.assertNotIn("LD-quantize", self.errors(folder, "mindie-atb"))
        checkpoint.description["model_quant_type"] = "FLOAT"
        checkpoint.write()
        self.assertIn("LD-quantize", self.errors(folder, "mindie-atb"))

    def test_mix_labelled_w8a8(self):
        """--mindie_format with pdmix (13.4): a warning whoever loads it, because static arithmetic is not wrong."""
        folder = copy_of(TRADITIONAL / "m0-w8a8", self.folder / "mix")
        checkpoint = Checkpoint(folder)
        checkpoint.config["quantization_config"]["pdmix"] = True
        checkpoint.write()
        for loader in ("mindie", "mindie-atb"):
            report, = reports([folder], "--for", loader)
            self.assertIn("DE-mix-label", {finding["rule"] for finding in report["findings"] if finding["severity"] == "warning"})


if __name__ == "__main__":
    unittest.main()
