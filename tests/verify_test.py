#!/usr/bin/env python3
"""slim-verify: its JSON against the schema, its rules against the man page, and what shell scenes cannot show."""

import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "testdata" / "golden" / "one-click" / "mini-qwen2-bfloat16"
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))


class VerifyTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.scratch.name)
        self.model = self.folder / "model"
        shutil.copytree(GOLDEN / "w8a8-static", self.model)

    def tearDown(self):
        self.scratch.cleanup()

    def run_tool(self, *arguments, stdin="", **options):
        return subprocess.run([BIN / "slim-verify", *map(str, arguments)], cwd=self.folder, input=stdin, capture_output=True,
                              text=True, timeout=60, check=False, **options)


class Output(VerifyTest):
    def test_inputs_are_untouched(self):
        def state():
            return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in self.model.iterdir()}
        before = state()
        self.assertEqual(self.run_tool("--deep", "model").returncode, 0)
        self.assertEqual(before, state())

    def test_names_from_files_are_escaped(self):
        header = b'{"\\u001b[31mred":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}'
        (self.folder / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
        result = self.run_tool("x.safetensors")
        self.assertEqual(result.returncode, 1)
        self.assertNotIn("\x1b", result.stdout)
        self.assertIn("\\x1b[31mred", result.stdout)

    def test_worst_path_in_json(self):
        (self.model / "config.json").unlink()
        result = self.run_tool("--json", "model", "nowhere", GOLDEN / "w8a16")
        self.assertEqual(result.returncode, 3)
        reports = json.loads(result.stdout)["reports"]
        self.assertEqual([report["ok"] for report in reports], [False, False, True])
        self.assertEqual(reports[1]["error"]["rule"], "IN-missing")
        self.assertEqual(reports[0]["findings"][0]["rule"], "CF-missing")

    def test_json_matches_the_schema(self):
        try:
            import jsonschema
        except ImportError:
            self.skipTest("python3-jsonschema is not installed")
        schema = json.loads((ROOT / "schemas" / "verify_report.schema.json").read_text())
        (self.model / "tokenizer.json").unlink()
        for arguments in (["model", "nowhere"], ["--list", "model"], ["--list-rules"], ["--explain", "LIN-shape"]):
            jsonschema.validate(json.loads(self.run_tool("--json", *arguments).stdout), schema)


class ManPage(VerifyTest):
    """The man page names every rule with its severity and text, and no other."""

    def setUp(self):
        super().setUp()
        self.page = (ROOT / "man" / "slim-verify.1").read_text().replace("\\-", "-")

    def test_rules(self):
        rules = json.loads(self.run_tool("--list-rules", "--json").stdout)["rules"]
        section = self.page.split(".SH RULES")[1].split(".SH EXIT STATUS")[0]
        asked = {(False, False): "", (True, False): " (--deep)", (False, True): " (--manifest)"}
        wanted = [(rule["id"], f"{rule['severity'].capitalize()}: {rule['text']}{asked[rule['deep'], rule['manifest']]}.")
                  for rule in rules]
        found = re.findall(r"^\.TP\n\.B (\S+)\n(.*)$", section, re.MULTILINE)
        self.assertEqual(found, wanted)


if __name__ == "__main__":
    unittest.main()
