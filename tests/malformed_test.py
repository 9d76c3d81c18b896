#!/usr/bin/env python3
"""The corpus of malformed checkpoints (tests/corpus/checkpoints.tsv): the tool that uses the file refuses or takes it as the table says,
the others end well, too, and no refusal leaves an output. Malformed safetensors files go through every tool.

  malformed_test.py --set   writes what the tools gave into the table
"""

import collections
import functools
import http.client
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from checkpoint_files import Tensor, WIDTH, read_safetensors, write_safetensors  # noqa: E402
from robustness_test import corpus, foreign_bases, unescape  # noqa: E402

BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
TABLE = ROOT / "tests" / "corpus" / "checkpoints.tsv"
GOLDEN = ROOT / "testdata" / "golden"
TOOLS = {
    "verify": ["slim-verify", "model"], "quant": ["slim-quant", "model", "-o", "out", "--type", "w8a16", "--no-fsync"],
    "convert": ["slim-convert", "model", "-o", "out", "--to", "hf", "--dequantize", "--no-fsync"], "run": ["slim-run", "model", "-p", "Hi", "-n", "1"],
    "diff": ["slim-diff", "model", "float", "--prompts", "prompts.txt"],
    "recipe": ["slim-quant", "float", "-o", "out", "--recipe", "model/recipe.yaml", "--no-fsync"],
    "calib": ["slim-quant", "float", "-o", "out", "--calib", "model/calib.jsonl", "--no-fsync"],
}
LARGEST = 3_000_000


def cases():
    for line in TABLE.read_text().splitlines():
        if not line.startswith("#"):
            yield (line.split("\t") + [""] * 7)[:7]


def made(text):
    kind, _, n = text.partition(" ")
    n = int(n)
    return {"@deep": lambda: b'{"a":' + b"[" * n, "@zeros": lambda: bytes(n), "@yamldeep": lambda: b"a: " + b"[" * n + b"]" * n}[kind]()


def put(document, path, value):
    """The member that the path names; names with dots in them are tried whole first."""
    rest = path
    while True:
        for end in [len(rest), *(match.start() for match in re.finditer(r"\.", rest))]:
            if rest[:end] in document and (end == len(rest) or isinstance(document[rest[:end]], dict)):
                break
        else:
            end = len(rest)
        if end == len(rest):
            break
        document, rest = document[rest[:end]], rest[end + 1:]
    if value is None:
        del document[rest]
    else:
        document[rest] = json.loads(value)


def edited(content, edit):
    if edit.startswith("=@"):
        return made(edit[1:])
    if edit.startswith("="):
        return unescape(edit[1:].replace("\\n", "\n").encode())
    word, _, rest = edit.partition(" ")
    if word == "cut":
        return content[:int(rest)]
    if word == "hex":
        offset, data = rest.split(" ")
        data = bytes.fromhex(data)
        return content[:int(offset)] + data + content[int(offset) + len(data):]
    if word == "file":
        return (ROOT / rest).read_bytes()
    if word == "json":
        path, equals, value = rest.partition("=")
        document = json.loads(content)
        put(document, path, value if equals else None)
        return json.dumps(document).replace("Infinity", "1e999").encode()
    old, new = edit.split("->")
    assert old.encode() in content, edit
    return content.replace(old.encode(), new.encode(), 1)


class Malformed(unittest.TestCase):
    codes = (0, 1, 2, 3, 4)

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="slim-malformed-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        cls.folder = pathlib.Path(cls.scratch.name)
        bases = cls.folder / "bases"
        list(foreign_bases(bases))
        cls.bases = {path.name: path for path in bases.iterdir()}
        cls.bases["hf"] = GOLDEN / "models" / "mini-qwen2-bfloat16"
        cls.bases["ascendv1"] = GOLDEN / "one-click" / "mini-qwen2-bfloat16" / "w8a8-static"
        shutil.copytree(cls.bases["hf"], cls.folder / "float")
        (cls.folder / "prompts.txt").write_text("The quick brown fox jumps over the lazy dog again and again.")
        subprocess.run([BIN / "slim-convert", "float", "-o", bases / "gguf", "--to", "gguf", "-q"], cwd=cls.folder, check=True)
        cls.bases["gguf"] = bases / "gguf"
        cls.bases["torch"] = bases / "torch"
        cls.bases["torch"].mkdir()
        (cls.bases["torch"] / "config.json").write_text('{"model_type": "other", "torch_dtype": "float32"}')

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def build(self, base, file, edit):
        model = self.folder / "model"
        shutil.rmtree(model, ignore_errors=True)
        model.mkdir()
        for path in self.bases[base].iterdir():
            if path.name != file:
                (model / path.name).symlink_to(path)
        if edit != "gone":
            source = self.bases[base] / file
            (model / file).write_bytes(edited(source.read_bytes() if source.exists() else b"", edit))

    def play(self, tool):
        """(exit code, rules that it names); what every run must keep is checked here."""
        result = subprocess.run([BIN / TOOLS[tool][0], *TOOLS[tool][1:]], cwd=self.folder, capture_output=True, text=True,
                                errors="backslashreplace", timeout=60, check=False)
        self.assertIn(result.returncode, self.codes, result.stderr)
        out = self.folder / "out"
        self.assertEqual(out.exists(), result.returncode == 0 and "-o" in TOOLS[tool], f"{tool}: {result.stderr}")
        shutil.rmtree(out, ignore_errors=True)
        self.assertFalse((self.folder / ".out.slim-partial").exists())
        self.assertLess(len(result.stderr), 20000)
        told = result.stdout if tool == "verify" else result.stderr
        return str(result.returncode), set(re.findall(r"\[([A-Z][A-Z0-9]{1,5}-[\w-]+)\]", told))

    def served(self):
        """(status, code of the error) of every request of the table."""
        requests = [case for case in cases() if case[1] == "http"]
        server = subprocess.Popen([BIN / "slim-run", "float", "--serve", "--port", "0", "--json"], cwd=self.folder, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)
        try:
            port = int(json.loads(server.stdout.readline())["url"].rsplit(":", 1)[1])
            for case in requests:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                connection.request("POST", case[2], edited(b"", case[3]))
                answer = connection.getresponse()
                text = answer.read().decode()
                connection.close()
                error = json.loads(text).get("error", {})
                yield case, str(answer.status), str(error.get("code") or error.get("type") or "")
        finally:
            server.terminate()
            server.wait(30)
            server.stdout.close()

    @functools.cache
    def always(self, base, tool):
        """What the base lacks without any edit: those of other ecosystems are fragments."""
        if tool != "verify":
            return set()
        model = self.folder / "model"
        saved = model.rename(self.folder / "edited")
        shutil.copytree(self.bases[base], model)
        _, rules = self.play(tool)
        shutil.rmtree(model)
        saved.rename(model)
        return rules

    def outcomes(self):
        yield from self.served()
        for case in cases():
            if case[1] != "http":
                self.build(*case[1:4])
                code, rules = self.play(case[4])
                yield case, code, " ".join(sorted(rules - self.always(case[1], case[4])))

    def test_the_table(self):
        kinds = collections.Counter(safetensors=sum(1 for _ in corpus_names()))
        for case, code, rule in self.outcomes():
            kinds[f"{case[1]}/{case[2]}"] += 1
            with self.subTest(case[0]):
                self.assertEqual((code, rule), (case[5], case[6]))
        print(f"{kinds.total()} malformed cases: " + ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())))
        self.assertGreaterEqual(kinds.total(), 250)

    def test_every_case_through_every_tool(self):
        for case in cases():
            if case[1] == "http" or case[4] in ("recipe", "calib"):
                continue
            self.build(*case[1:4])
            for tool in ("verify", "quant", "convert", "run", "diff"):
                if tool != case[4]:
                    with self.subTest(case[0], tool=tool):
                        self.play(tool)

    def test_safetensors_through_every_tool(self):
        for name, _, content, verdict in corpus():
            if len(content) > LARGEST:
                continue
            self.build("hf", "model.safetensors", "gone")
            (self.folder / "model" / "model.safetensors").write_bytes(content)
            for tool in ("quant", "convert", "run", "diff"):
                with self.subTest(name, tool=tool):
                    code, _ = self.play(tool)
                    if verdict == "reject":
                        self.assertEqual(code, "3")


class StrayParts(unittest.TestCase):
    """A part of a linear that its type does not have, or one of its own in another shape or type: refused or passed over."""

    TYPES = ["w8a8", "w8a8_dynamic", "w8a16", "w4a8", "w4a16", "w4a4", "fp8", "w8a8_mxfp8", "w4a4_mxfp4"]
    COMMANDS = {"verify": ["slim-verify", "--deep", "model"], "dequantize": ["slim-convert", "model", "-o", "out", "--dequantize", "--no-fsync"],
                "mindie": ["slim-convert", "model", "-o", "out", "--to", "mindie", "--no-fsync", "--allow-loss"],
                "run": ["slim-run", "model", "-p", "Hi", "-n", "1"]}
    LINEAR = "model.layers.0.self_attn.q_proj"

    def test_every_role_in_every_type(self):
        roles = re.findall(r'^SLIM_ROLE\(\w+, "(\w+)"\)', (ROOT / "libcommon" / "linear" / "role.def").read_text(), re.M)
        self.assertGreater(len(roles), 10)
        runs = 0
        with tempfile.TemporaryDirectory(prefix="slim-malformed-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as scratch:
            folder = pathlib.Path(scratch)
            for kind in self.TYPES:
                subprocess.run([BIN / "slim-quant", GOLDEN / "models" / "mini-qwen2-bfloat16", "-o", "base", "--force", "--type", kind, "--no-fsync", "-q",
                                *(("--calib", GOLDEN / "calib.jsonl") if kind == "w8a8" else ())], cwd=folder, check=True)
                for number, role in enumerate(roles):
                    for part in self.parts(number):
                        self.write(folder, role, part)
                        for name, words in self.COMMANDS.items():
                            with self.subTest(type=kind, role=role, dtype=part.dtype, shape=part.shape, command=name):
                                result = subprocess.run([BIN / words[0], *words[1:]], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
                                self.assertIn(result.returncode, (0, 1, 3), result.stderr)
                                runs += 1
                            shutil.rmtree(folder / "out", ignore_errors=True)
        print(f"{runs} stray parts")

    @staticmethod
    def parts(number):
        """Of one role; all shapes and types come about over the roles."""
        shapes, dtypes = [[0], [1], [64, 0], [64, 3], [65], [64, 1, 7]], ["F32", "I8", "I64", "F8_E4M3", "BF16"]
        for i in (0, number, number + 3) if not os.environ.get("SLIM_LONG") else range(len(shapes)):
            shape, dtype = shapes[i % len(shapes)], dtypes[i % len(dtypes)]
            yield Tensor(dtype, shape, b"\1" * (math.prod(shape) * WIDTH[dtype]))

    def write(self, folder, role, part):
        model = folder / "model"
        shutil.rmtree(model, ignore_errors=True)
        shutil.copytree(folder / "base", model)
        name = f"{self.LINEAR}.{role}"
        weights, = model.glob("*.safetensors")
        write_safetensors(weights, {**read_safetensors(weights), name: part})
        for path, member in ((next(model.glob("*.index.json")), "weight_map"), (model / "quant_model_description.json", None)):
            document = json.loads(path.read_text())
            names = document[member] if member else document
            names[name] = names[f"{self.LINEAR}.weight"]
            path.write_text(json.dumps(document))


def corpus_names():
    for line in (ROOT / "tests" / "corpus" / "cases.tsv").read_bytes().splitlines():
        if not line.startswith(b"#"):
            yield line


def set_table():
    Malformed.codes = range(-64, 64)  # to be seen in the table
    Malformed.setUpClass()
    found = {case[0]: (code, rule) for case, code, rule in Malformed().outcomes()}
    lines = []
    for line in TABLE.read_text().splitlines():
        cells = line.split("\t")
        lines.append(line if line.startswith("#") else "\t".join([*cells[:5], *found[cells[0]]]))
    TABLE.write_text("\n".join(lines) + "\n")
    Malformed.tearDownClass()


if __name__ == "__main__":
    if sys.argv[1:] == ["--set"]:
        set_table()
    else:
        unittest.main()
