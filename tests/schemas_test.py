#!/usr/bin/env python3
"""Every JSON that a tool prints or writes against its schema, and every schema against altered documents it must refuse."""

import copy
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
TESTDATA = ROOT / "testdata"
GOLDEN = TESTDATA / "golden"
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
try:
    import jsonschema
except ImportError:
    jsonschema = None


def alterations(document):
    """Copies of an object that no schema with required, typed and closed members lets pass."""
    for key in document:
        without = copy.deepcopy(document)
        del without[key]
        yield f"without {key}", without, True
    extra = copy.deepcopy(document)
    extra["no such member"] = 1
    yield "with an unknown member", extra, False
    for key in document:
        other = copy.deepcopy(document)
        other[key] = [[{"neither": "this nor that"}]]
        yield f"with another type of {key}", other, False


@unittest.skipUnless(jsonschema, "python3-jsonschema is not installed")
class Schemas(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def run_tool(self, tool, *arguments, codes=(0,)):
        result = subprocess.run([BIN / tool, *map(str, arguments)], cwd=self.folder, capture_output=True, text=True, timeout=300,
                                check=False)
        self.assertIn(result.returncode, codes, result.stderr)
        return result.stdout

    def check(self, name, document):
        schema = json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(document, schema)
        refused = 0
        for what, altered, may_pass in alterations(document):
            try:
                jsonschema.validate(altered, schema)
                self.assertTrue(may_pass, f"{name}: the schema accepts a document {what}")
            except jsonschema.ValidationError:
                refused += 1
        self.assertGreaterEqual(refused, 3, name)

    def test_quant(self):
        model = GOLDEN / "models" / "mini-qwen2-bfloat16"
        self.check("quant_plan", json.loads(self.run_tool("slim-quant", model, "--dry-run", "--json")))
        self.check("quant_summary", json.loads(self.run_tool("slim-quant", model, "-o", "quantized", "--json", "-q")))
        reported = self.run_tool("slim-quant", model, "-o", "reported", "--report", "r.html", "--kv-cache", "c8", "--json", "-q")
        self.check("quant_summary", json.loads(reported))
        for part in ("1/2", "2/2"):
            self.run_tool("slim-quant", model, "-o", part[0], "--type", "w8a16", "--shard", part, "-q")
        self.check("shard", json.loads((self.folder / "1" / "slim_shard.json").read_text()))
        self.check("merge_summary", json.loads(self.run_tool("slim-quant", "merge", "merged", "1", "2", "--json", "-q")))
        self.check("quant_analysis", json.loads(self.run_tool("slim-quant", "analyze", model, "--calib", GOLDEN / "calib.jsonl", "--json")))
        self.check("quant_presets", json.loads(self.run_tool("slim-quant", "--list-presets", "--json")))
        self.check("receipt", json.loads((self.folder / "quantized" / "slim_receipt.json").read_text()))

    def test_convert(self):
        source = GOLDEN / "traditional" / "mini-qwen2-bfloat16" / "m0-w8a8-m4"
        arguments = (source, "--to", "ascendv1-v0", "--json")
        self.check("convert_plan", json.loads(self.run_tool("slim-convert", *arguments, "--plan")))
        self.check("convert_plan", json.loads(self.run_tool("slim-convert", *arguments, "-o", "converted")))
        self.check("receipt", json.loads((self.folder / "converted" / "slim_receipt.json").read_text()))
        self.check("convert_list", json.loads(self.run_tool("slim-convert", "--list", "--json")))

    def test_verify(self):
        good = GOLDEN / "one-click" / "mini-qwen2-bfloat16" / "w8a16"
        self.check("verify_report", json.loads(self.run_tool("slim-verify", good, "nowhere", "--json", codes=(3,))))
        bad = GOLDEN / "traditional" / "mini-qwen2-bfloat16" / "m0-w8a8-m4"
        self.run_tool("slim-verify", bad, "--write-baseline", "baseline.json")
        self.check("verify_baseline", json.loads((self.folder / "baseline.json").read_text()))
        arguments = ("--manifest", "write", "--sha256", "--manifest-file", "manifest.json", good, "--json")
        self.check("verify_report", json.loads(self.run_tool("slim-verify", *arguments)))
        self.check("manifest", json.loads((self.folder / "manifest.json").read_text()))

    def test_diff(self):
        model = GOLDEN / "models" / "mini-qwen2-bfloat16"
        quantized = GOLDEN / "one-click" / "mini-qwen2-bfloat16" / "w8a16"
        self.check("diff_report", json.loads(self.run_tool("slim-diff", model, quantized, "--prompts", GOLDEN / "calib.jsonl",
                                                           "--windows", "2", "--tokens", "32", "--bisect", "2",
                                                           "--weights", "--json", "-q")))

    def test_diff_of_weights(self):
        model = GOLDEN / "models" / "mini-qwen2-bfloat16"
        quantized = GOLDEN / "one-click" / "mini-qwen2-bfloat16" / "w8a8-static"
        self.check("diff_report", json.loads(self.run_tool("slim-diff", model, quantized, "--weights", "--json")))

    def test_diff_of_dumps(self):
        weights = GOLDEN / "models" / "mini-qwen2-bfloat16" / "model.safetensors"
        self.check("dump_report", json.loads(self.run_tool("slim-diff", weights, weights, "--json", "-q")))

    def test_run(self):
        lines = self.run_tool("slim-run", TESTDATA / "models" / "tiny-llama", "-p", "Question:", "-n", "4", "--json", "-q")
        self.check("run_output", json.loads(lines))


if __name__ == "__main__":
    unittest.main()
