#!/usr/bin/env python3
"""slim-verify: its JSON against the schema, its rules against the man page, and what shell scenes cannot show."""

import html.parser
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
import urllib.parse
import xml.etree.ElementTree

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

    def test_the_page_says_what_the_loader_does(self):
        config = json.loads((self.model / "config.json").read_text())
        (self.model / "config.json").write_text(json.dumps({**config, "torch_dtype": "float16"}))
        page = self.run_tool("--format", "html", "--for", "vllm-ascend", "model").stdout
        self.assertIn("for vllm-ascend@0.16", page)
        self.assertIn("[vllm-ascend@0.16 loads it and computes wrong numbers]", page)

    def test_json_matches_the_schema(self):
        try:
            import jsonschema
        except ImportError:
            self.skipTest("python3-jsonschema is not installed")
        schema = json.loads((ROOT / "schemas" / "verify_report.schema.json").read_text())
        (self.model / "tokenizer.json").unlink()
        for arguments in (["model", "nowhere"], ["--list", "model"], ["--list-rules"], ["--explain", "LIN-shape"],
                          ["--list-profiles"], ["--for", "mindie,vllm-ascend", "--deep", "--tp", "3", "model"]):
            jsonschema.validate(json.loads(self.run_tool("--json", *arguments).stdout), schema)


class Formats(VerifyTest):
    """What build servers and browsers read, held against what those formats demand."""

    def setUp(self):
        super().setUp()
        (self.model / "tokenizer.json").unlink()
        (self.model / "config.json").unlink()
        self.strange = self.folder / "a <b>&'c' \u00e9%.safetensors"
        self.strange.write_bytes(b"cut")
        self.paths = ("model", self.strange.name, "nowhere")

    def report(self, form):
        result = self.run_tool("--format", form, *self.paths)
        self.assertEqual(result.returncode, 3)
        return result.stdout

    def test_sarif(self):
        document = json.loads(self.report("sarif"))
        self.assertEqual(document["version"], "2.1.0")
        self.assertEqual(set(document), {"version", "runs"})
        run, = document["runs"]
        self.assertLessEqual(set(run), {"tool", "invocations", "results"})
        driver = run["tool"]["driver"]
        self.assertEqual(driver["name"], "slim-verify")
        ids = [rule["id"] for rule in driver["rules"]]
        self.assertEqual(len(ids), len(set(ids)))
        for rule in driver["rules"]:
            self.assertIn(rule["defaultConfiguration"]["level"], ("error", "warning", "note"))
            for text in ("shortDescription", "fullDescription", "help"):
                self.assertEqual(list(rule[text]), ["text"])
        self.assertGreaterEqual(len(run["results"]), 3)
        for result in run["results"]:
            self.assertEqual(ids[result["ruleIndex"]], result["ruleId"])
            self.assertIn(result["level"], ("error", "warning", "note"))
            self.assertTrue(result["message"]["text"])
            location, = result["locations"]
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            self.assertRegex(uri, r"^(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+$")
            self.assertTrue((self.folder / urllib.parse.unquote(uri)).exists(), uri)
            self.assertGreaterEqual(location["physicalLocation"]["region"]["startLine"], 1)
        invocation, = run["invocations"]
        self.assertIs(invocation["executionSuccessful"], False)
        notification, = invocation["toolExecutionNotifications"]
        self.assertIn("nowhere", notification["message"]["text"])

    def test_junit(self):
        root = xml.etree.ElementTree.fromstring(self.report("junit"))
        self.assertEqual(root.tag, "testsuites")
        suites = root.findall("testsuite")
        self.assertEqual([suite.get("name") for suite in suites], list(map(str, self.paths)))
        for suite in suites:
            cases = suite.findall("testcase")
            self.assertEqual(int(suite.get("tests")), len(cases))
            for kind in ("failure", "error"):
                self.assertEqual(int(suite.get(f"{kind}s")), len(suite.findall(f"testcase/{kind}")))
            names = [case.get("name") for case in cases]
            self.assertEqual(len(names), len(set(names)))
        self.assertEqual([case.get("type") for case in suites[0].iter("failure")], ["CF-missing"])
        self.assertEqual(len(list(suites[2].iter("error"))), 1)

    def test_html_needs_nothing_else(self):
        page = self.report("html")
        self.assertNotRegex(page, r"(?i)https?:|<script|<link|@import|url\(|\bsrc=|\bhref=")
        opened = []

        class Reader(html.parser.HTMLParser):
            def handle_starttag(self, tag, attrs):
                if tag != "meta":
                    opened.append(tag)

            def handle_endtag(self, tag):
                assert opened.pop() == tag, tag

        Reader().feed(page.replace("<!DOCTYPE html>", ""))
        self.assertEqual(opened, [])
        self.assertIn("0 of 3 checkpoints ok", page)
        self.assertIn("a &lt;b&gt;&amp;&#39;c&#39; \u00e9%", page)
        for rule in ("CF-missing", "SIDE-no-tokenizer", "ST-too-short"):
            self.assertIn(rule, page)

    def test_the_same_twice(self):
        for form in ("text", "json", "sarif", "junit", "github", "html"):
            self.assertEqual(self.report(form), self.report(form))


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
