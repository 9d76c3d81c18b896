#!/usr/bin/env python3
"""Every command under EXAMPLES of the man pages runs, on small models under the names that it uses. (The rule of a Makefile is
tests/cli/slim-convert/make-rule.sh's.)"""

import gzip
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from flags_test import man_page, plain, sections_of  # noqa: E402
from guides_test import FLOAT, GOLDEN, ONE_CLICK, Play, ROOT  # noqa: E402

ELSEWHERE = re.compile(r"--serve|^curl |^%|^\t")
JUDGED = re.compile(r"--max-(?!model)|--min-|--expect")  # by a limit that a small model may miss
# What is on another machine is in models/ here.
COPIER = '#!/bin/sh\ncp -r "$2" models/\n'
REMOTE = '#!/bin/sh\nshift\nexec "$@"\n'


def examples(page):
    body = sections_of(man_page(page))["EXAMPLES"]
    for block in re.findall(r"^\.nf\n(.*?)^\.fi$", body, re.M | re.S):
        yield from (line.strip(" ") for line in plain(block).splitlines() if line.strip())


class ManExamples(Play):
    def play(self, page, at_least):
        (self.folder / "out").mkdir(exist_ok=True)
        played = 0
        for command in examples(page):
            if ELSEWHERE.search(command):
                continue
            played += 1
            for output in re.findall(r" -o (\S+)", command):
                path = self.folder / output
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            with self.subTest(command=command):
                result = self.run_line(command.replace("/models", "models"))
                self.assertIn(result.returncode, (0, 1) if JUDGED.search(command) else (0,), result.stdout + result.stderr)
        self.assertGreaterEqual(played, at_least)

    def test_convert(self):
        self.lend(ONE_CLICK / "w8a8-static", "Qwen2.5-7B-w8a8", "broken")
        self.lend(ONE_CLICK / "mindie-w8a8-static", "old-mindie")
        self.lend(GOLDEN / "traditional" / "mini-qwen2-bfloat16" / "m0-w8a8", "traditional")
        (self.folder / "broken" / "quant_model_description.json").rename(self.folder / "broken" / "quant_model_description_w8a8.json")
        self.slim("slim-quant", ROOT / "testdata" / "models" / "tiny-qwen2", "-o", "Qwen3-8B-w8a8s", "--type", "w8a8s", "--dtype", "fp16", "--calib",
                  "calib.jsonl")
        self.play("slim-convert.1", 6)

    def test_diff(self):
        self.lend(FLOAT, "Qwen2.5-7B-Instruct")
        self.lend(ONE_CLICK / "w8a8-static", "Qwen2.5-7B-w8a8", "w8a8")
        text = (GOLDEN / "held-out-text.txt").read_bytes()
        (self.folder / "held-out.txt").write_bytes(text)
        (self.folder / "corpus.txt.gz").write_bytes(gzip.compress(text))
        for name, dump in (("float", "dump_of_float"), ("w8a8", "dump_of_device")):
            self.slim("slim-run", name, "-p", "Hi", "-n", "1", "--dump-layers", dump)
        self.play("slim-diff.1", 8)

    def test_quant(self):
        self.lend(FLOAT, "Qwen2.5-7B-Instruct", "Qwen3-8B", "Llama-2-13b-hf", "MODEL")
        shutil.copyfile(GOLDEN / "calib.jsonl", self.folder / "boolq.jsonl")
        (self.folder / "ceval" / "dev").mkdir(parents=True)
        (self.folder / "ceval" / "dev" / "law_dev.csv").write_text("id,question,A,B,C,D,answer,explanation\n0,What is 1+1?,1,2,3,4,B,\n")
        self.play("slim-quant.1", 5)

    def test_run(self):
        self.lend(ONE_CLICK / "w8a8-static", "w8a8", "out/w8a8")
        (self.folder / "question.txt").write_text("What is deep learning?")
        (self.folder / "prompts.jsonl").write_text('{"prompt": "I am"}\n{"prompt": "Today is"}\n')
        shutil.copyfile(GOLDEN / "held-out-text.txt", self.folder / "wiki.txt")
        self.play("slim-run.1", 3)
        if shutil.which("curl"):
            self.ask_server(*(line for line in examples("slim-run.1") if ELSEWHERE.search(line)))

    def test_verify(self):
        self.lend(ONE_CLICK / "w8a8-static", "model-w8a8", "models/one")
        sums = subprocess.run("sha256sum *", shell=True, cwd=self.folder / "model-w8a8", capture_output=True, check=True).stdout
        (self.folder / "SHA256SUMS").write_bytes(sums)
        for name, script in (("rsync", COPIER), ("ssh", REMOTE)):
            (self.folder / "bin" / name).write_text(script)
            (self.folder / "bin" / name).chmod(0o755)
        self.play("slim-verify.1", 7)


if __name__ == "__main__":
    unittest.main()
