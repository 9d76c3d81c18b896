#!/usr/bin/env python3
"""Every command that a guide shows runs and does what the guide says, on the small models: lines of four spaces that begin with a
command, and those in snippets for build servers."""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
GUIDES = ROOT / "man" / "guides"
GOLDEN = ROOT / "testdata" / "golden"
FLOAT = GOLDEN / "models" / "mini-qwen2-bfloat16"
ONE_CLICK = GOLDEN / "one-click" / "mini-qwen2-bfloat16"
COMMAND = re.compile(r"^ {4,}(?:- |run: |- run: |sh ')?((?:[A-Z_]+=\S+ )?(?:slim-\w+|sh|cmp|find|mpirun) [^']*?)'?$", re.M)
# By another test: tests/cli/slim-diff/guide.sh.
ELSEWHERE = {"diff.md"}


def commands(guide):
    text = (GUIDES / guide).read_text().replace("/models/", "models/").replace("find models/", "find models").replace("find /models", "find models")
    return [re.sub(r"\s+#.*$", "", command) for command in COMMAND.findall(text)]


class Play(unittest.TestCase):
    """A folder with small models in which the commands of a page run."""

    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="slim-guides-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name)
        shutil.copytree(FLOAT, self.folder / "float")
        shutil.copyfile(GOLDEN / "calib.jsonl", self.folder / "calib.jsonl")
        bin_folder = self.folder / "bin"
        bin_folder.mkdir()
        (bin_folder / "deploy").write_text("#!/bin/sh\n")
        (bin_folder / "deploy").chmod(0o755)
        self.environment = dict(os.environ, PATH=f"{BIN}:{bin_folder}:{os.environ['PATH']}", OMPI_ALLOW_RUN_AS_ROOT="1",
                                OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1",
                                OMPI_MCA_btl_vader_single_copy_mechanism="none")

    def lend(self, source, *names):
        for name in names:
            shutil.copytree(source, self.folder / name)

    def slim(self, *words):
        subprocess.run([BIN / words[0], *words[1:], "-q"], cwd=self.folder, check=True)

    def run_line(self, command):
        return subprocess.run(["bash", "-euc", command], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=300, check=False)

    def ask_server(self, serve, ask):
        """A line that serves and one of curl that asks it; at a port of its own."""
        words = shlex.split(serve.rstrip("& "))
        server = subprocess.Popen([BIN / words[0], *words[1:], "--port", "0", "--json"], cwd=self.folder, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)
        try:
            address = json.loads(server.stdout.readline())["url"]
            result = self.run_line(ask.replace("http://localhost:8000", address))
        finally:
            server.terminate()
            server.wait(30)
            server.stdout.close()
        self.assertIn("choices", json.loads(result.stdout), result.stdout)


class Guides(Play):
    def play(self, guide):
        found = commands(guide)
        for command in found:
            if command.startswith("mpirun") and not shutil.which("mpirun"):
                continue
            with self.subTest(guide=guide, command=command):
                result = self.run_line(command)
                self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return found

    def test_every_guide_has_a_test(self):
        self.assertEqual({path.name for path in GUIDES.glob("*.md")} - ELSEWHERE, {"exactness.md", "gate.md", "migrate.md", "scale.md"})

    def test_exactness(self):
        self.assertGreater(len(self.play("exactness.md")), 4)
        for path in re.findall(r"`(tests/[^`]*)`", (GUIDES / "exactness.md").read_text()):
            if " " not in path:
                self.assertTrue((ROOT / path).exists(), path)

    def test_migrate(self):
        shutil.copytree(ONE_CLICK / "mindie-w8a8-static", self.folder / "old")
        shutil.copytree(ONE_CLICK / "mindie-w8a8-dynamic", self.folder / "store-old" / "one")
        shutil.copytree(ONE_CLICK / "mindie-w8a8-static", self.folder / "store-old" / "two")
        shutil.copyfile(GUIDES / "migrate-checkpoints.sh", self.folder / "migrate-checkpoints.sh")
        self.assertGreater(len(self.play("migrate.md")), 6)

    def test_scale(self):
        self.assertGreater(len(self.play("scale.md")), 10)

    def test_gate(self):
        (self.folder / "models").mkdir()
        for name in ("qwen2-w8a8", "other"):
            shutil.copytree(ONE_CLICK / "w8a8-static", self.folder / "models" / name)
        shutil.copytree(ONE_CLICK / "w8a8-static", self.folder / "model")
        shutil.copytree(ONE_CLICK / "w8a8-static", self.folder / "DIR")
        self.environment["DIR"] = "DIR"
        subprocess.run("sha256sum * > ../SHA256SUMS; mv ../SHA256SUMS .", shell=True, cwd=self.folder / "DIR", check=True)
        subprocess.run([BIN / "slim-verify", "-q", "--manifest", "write", "DIR"], cwd=self.folder, check=True)
        found = self.play("gate.md")
        self.assertGreater(len(found), 6)
        for report in self.folder.glob("*.xml"):
            xml.etree.ElementTree.parse(report)

    def test_the_reports_that_the_gate_shows(self):
        broken = shutil.copytree(ONE_CLICK / "w8a8-static", self.folder / "broken")
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (broken / name).unlink()
        description = json.loads((broken / "quant_model_description.json").read_text())
        del description["model.layers.1.mlp.down_proj.weight"]
        (broken / "quant_model_description.json").write_text(json.dumps(description))
        section = (GUIDES / "gate.md").read_text().split("## What the reports look like")[1]
        blocks = re.findall(r"(?:^    .*\n)+", section, re.M)
        for form, block in zip(("github", "junit", "sarif"), blocks, strict=True):
            result = subprocess.run([BIN / "slim-verify", "--format", form, "broken"], cwd=self.folder, capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, 1)
            printed = [line.strip() for line in result.stdout.splitlines()]
            for line in block.splitlines():
                self.assertIn(line.strip(), printed)


if __name__ == "__main__":
    unittest.main()
