#!/usr/bin/env python3
"""Every command that README.md shows runs, on small models under the names that it uses, and what it shows of an output is printed. Those of
its section on building are tests/package_test.py's and check.sh's own."""

import pathlib
import re
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import foreign_checkpoints  # noqa: E402
from guides_test import FLOAT, GOLDEN, ONE_CLICK, Play, ROOT  # noqa: E402

MODELS = ROOT / "testdata" / "models"
ELSEWHERE = re.compile(r"--serve|^curl |^sh |^cmake |^cpack ")


def blocks():
    """Lines of each block of four spaces, with what it is called by the heading above."""
    text = re.sub(r"^## Build.*?(?=^## |\Z)", "", (ROOT / "README.md").read_text(), flags=re.M | re.S)
    for block in re.findall(r"(?:^    .*\n)+", text, re.M):
        yield [line[4:] for line in block.splitlines()]


def commands(block):
    """(command, lines it prints) of a block; a command goes on while a quote is open."""
    prompted = any(line.startswith("$ ") for line in block)
    found = []
    for line in block:
        if found and not prompted and found[-1][0].replace("'\\''", "").count("'") % 2:
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        elif line.startswith("$ "):
            found.append((line[2:], []))
        elif prompted:
            found[-1][1].append(line)
        elif not line.startswith("#"):
            found.append((re.sub(r"\s+#.*$", "", line), []))
    return found


class Readme(Play):
    def prepare(self):
        self.lend(MODELS / "tiny-qwen2", "Qwen2.5-7B-Instruct", "M")
        self.lend(MODELS / "tiny-llama", "tiny-llama", "llama2-13b")
        self.lend(ONE_CLICK / "mindie-w8a8-static", "OLD")
        self.lend(ONE_CLICK / "w8a8-static", "DIR", "BROKEN")
        (self.folder / "BROKEN" / "quant_model_description.json").rename(self.folder / "BROKEN" / "quant_model_description_w8a8.json")
        shutil.copyfile(GOLDEN / "calib.jsonl", self.folder / "boolq.jsonl")
        for name in ("held-out.txt", "wiki.txt"):
            shutil.copyfile(GOLDEN / "held-out-text.txt", self.folder / name)
        (self.folder / "teacher_qualification.jsonl").write_text('{"prompt": "The capital of France is", "choices": [" Paris", " Rome"], "answer": 0}\n')
        foreign_checkpoints.fp8_block(FLOAT, self.folder / "DeepSeek-V3")
        for source, name, *words in (("M", "W8A8S", "--type", "w8a8s", "--dtype", "fp16", "--calib", "calib.jsonl"), ("llama2-13b", "llama2-13b-w8a8", "--calib", "calib.jsonl"), ("M", "Qwen3-8B-A8W8", "--type", "w8a8_dynamic"),
                                     ("M", "w8a16", "--type", "w8a16")):
            self.slim("slim-quant", source, "-o", name, *words)
        self.slim("slim-convert", "w8a16", "-o", "Qwen-GPTQ-Int8", "--to", "gptq", "--allow-loss")
        self.slim("slim-convert", "M", "-o", "gguf", "--to", "gguf")
        weights, = (self.folder / "gguf").glob("*.gguf")
        weights.rename(self.folder / "Qwen2.5-0.5B.Q8_0.gguf")

    def test_every_command(self):
        self.prepare()
        played = 0
        for block in blocks():
            if block[0].startswith("%"):
                continue
            for command, printed in commands(block):
                if ELSEWHERE.search(command):
                    continue
                played += 1
                with self.subTest(command=command):
                    result = self.run_line(command)
                    self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
                    for line in printed:
                        self.assertIn(line, (result.stdout + result.stderr).splitlines())
                shutil.rmtree(self.folder / "O", ignore_errors=True)  # two lines to choose from write there
        self.assertGreater(played, 20)

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_the_endpoint(self):
        self.lend(ONE_CLICK / "w8a8-static", "Qwen2.5-7B-w8a8")
        block, = (block for block in blocks() if "--serve" in block[0])
        self.ask_server(*block)

    def test_the_makefile(self):
        makefile, = ("\n".join(block) for block in blocks() if block[0].startswith("%"))
        (self.folder / "Makefile").write_text(makefile + "\n")
        self.lend(MODELS / "tiny-qwen2", "model")
        for target in ("model.w8a8", "model.w8a8.ascendv1"):
            result = self.run_line(f"make {target}")
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertTrue((self.folder / target / "config.json").exists())


if __name__ == "__main__":
    unittest.main()
