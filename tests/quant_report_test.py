#!/usr/bin/env python3
"""The page of slim-quant --report: well formed, complete in itself, the same for any number of threads and ranks of work, with
the numbers of --json; and asking for it changes no byte of the output."""

import html.parser
import json
import math
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
MODELS = ROOT / "testdata" / "golden" / "models"
CALIB = ROOT / "testdata" / "golden" / "calib.jsonl"
VOID = {"meta"}


class Page(html.parser.HTMLParser):
    """Checks nesting; collects the rows of the last table as lists of texts, and every attribute."""

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.rows = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.rows = []
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.attributes += attrs

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            raise AssertionError(f"</{tag}> closes something else")

    def handle_data(self, data):
        if self.open and self.open[-1] in ("th", "td"):
            self.rows[-1][-1] += data


def short(value, factor=1):
    return f"{math.inf if value == 'inf' else value * factor:.4g}" if value is not None else ""


def spread(value):
    return " … ".join(short(value[key]) for key in ("min", "median", "max")) if value else ""


def ends(value):
    return f"{short(value['min'])} … {short(value['max'])}" if value else ""


def cells(linear):
    """Of the page's last table, but the sizes."""
    return [linear["name"], linear["type"], f"[{linear['n']}, {linear['k']}]", short(linear.get("weight_sqnr_db")),
            short(linear.get("weight_saturation"), 100), short(linear.get("weight_zeros"), 100), spread(linear.get("weight_scale")),
            ends(linear.get("input_before")), ends(linear.get("input_after")), spread(linear.get("smoothing")),
            short(linear.get("input_scale")), short(linear.get("input_offset")), short(linear.get("input_saturation"), 100),
            spread(linear.get("cache_scale"))]


class Report(unittest.TestCase):
    def quantize(self, folder, *flags, model="mini-qwen2-bfloat16"):
        words = [BIN / "slim-quant", MODELS / model, "-o", "out", "--json", "-q", *flags]
        if "none" not in flags:
            words += ["--calib", CALIB]
        run = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        files = {path.name: path.read_bytes() for path in (pathlib.Path(folder) / "out").iterdir()}
        return json.loads(run.stdout), files

    def report(self, *flags, model="mini-qwen2-bfloat16"):
        with tempfile.TemporaryDirectory() as folder:
            summary, files = self.quantize(folder, "--report", "page.html", *flags, model=model)
            return summary, files, (pathlib.Path(folder) / "page.html").read_text()

    def check(self, *flags, model="mini-qwen2-bfloat16"):
        summary, files, text = self.report(*flags, "--threads", "1", model=model)
        self.assertEqual(self.report(*flags, "--threads", "3", model=model), (summary, files, text))
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(self.quantize(folder, *flags, model=model)[1], files, "the report changes the output")
        page = Page(text)
        self.assertEqual(page.open, [])
        for name, value in page.attributes:
            self.assertNotIn(name, ("href", "src", "srcset", "onload"), value)
        self.assertIsNone(re.search(r"https?://|url\(|@import|<script", text))
        rows = [row[:-2] for row in page.rows[1:]]
        self.assertEqual(rows, [cells(linear) for linear in summary["linears"]])
        return summary["linears"], text

    def test_static(self):
        linears, text = self.check("--kv-cache", "c8", "--activation-method", "percentile")
        by_name = {linear["name"]: linear for linear in linears}
        query = by_name["model.layers.1.self_attn.q_proj"]
        self.assertGreater(query["weight_sqnr_db"], 25)
        self.assertGreater(query["input_before"]["channels"]["max"], query["input_after"]["channels"]["max"])
        self.assertGreater(query["input_saturation"], 0)
        self.assertIn("cache_scale", by_name["model.layers.0.self_attn.k_proj"])
        self.assertIn("reason", by_name["lm_head"])
        self.assertNotIn("weight_sqnr_db", by_name["model.layers.0.mlp.down_proj"])
        for title in ("What stayed float", "Activations that enter the linears", "Weights: signal to quantization noise",
                      "Activations: values outside the static range", "Scales chosen"):
            self.assertIn(title, text)

    def test_one_pass_a_step(self):
        linears, _ = self.check("--propagate", "quantized", model="mini-qwen2-float32")
        self.assertTrue(all("weight_sqnr_db" in linear for linear in linears if linear["type"] != "FLOAT"))

    def test_data_free(self):
        for kind in ("w4a8", "w8a16", "w8a8_mxfp8"):
            linears, _ = self.check("--type", kind, "--smooth", "none")
            for linear in linears:
                self.assertEqual("weight_sqnr_db" in linear, linear["type"] != "FLOAT", linear["name"])

    def test_refused(self):
        for flags, told in ((["--report", "no/such/page.html"], "directory of the report"), (["--report", "kept.html"], "exists"),
                            (["--report", "a.html", "--shard", "1/2", "--type", "w8a16"], "--shard")):
            with tempfile.TemporaryDirectory() as folder:
                kept = pathlib.Path(folder) / "kept.html"
                kept.write_text("mine")
                run = subprocess.run([BIN / "slim-quant", MODELS / "mini-qwen2-bfloat16", "-o", "out", *flags], cwd=folder,
                                     capture_output=True, text=True, timeout=60, check=False)
                self.assertIn(told, run.stderr)
                self.assertIn(run.returncode, (2, 4))
                self.assertEqual(sorted(path.name for path in pathlib.Path(folder).iterdir()), ["kept.html"])


if __name__ == "__main__":
    unittest.main()
