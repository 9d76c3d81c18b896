#!/usr/bin/env python3
"""Random single corruptions of checkpoints: of their structure, each found without a manifest; of their data, each found with one
and named; and no false alarm on untouched ones.

SLIM_CORRUPTIONS sets how many of each (default 1000; check.sh --long sets 3000). Structure: a tensor that is gone or has another name, dtype or shape, another
label, another shape-bearing value in config.json, a weight file that is gone. Data: a flipped bit, a zeroed page, two tensors of one
shape swapped, another value in a JSON file, another byte in a side file.
"""

import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import foreign_checkpoints  # noqa: E402
import sparse_checkpoint  # noqa: E402

GOLDEN = ROOT / "testdata" / "golden"
SHARED = ROOT.parent / "shared"
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
COUNT = int(os.environ.get("SLIM_CORRUPTIONS", "1000"))
BASES = [GOLDEN / "one-click" / "mini-qwen2-bfloat16" / "w8a8-static", GOLDEN / "traditional" / "mini-qwen2-bfloat16" / "m0-w8a8-m1",
         GOLDEN / "one-click" / "mini-qwen3-float16" / "w8a8-static"]
PAGE = 4096
DIALECTS = {"hf", "ascendv1", "ascendv1-v0", "mindie", "mindie-parts", "gptq", "awq", "fp8-block", "compressed-tensors", "golden-stick",
            "gguf", "torch-bin", "npy"}


def shares():
    """How many of COUNT each base gets."""
    return [COUNT // len(BASES) + (number < COUNT % len(BASES)) for number in range(len(BASES))]


def header_of(content):
    length, = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + length])
    header.pop("__metadata__", None)
    return 8 + length, header


def leaves(value, path=""):
    """(path as slim-verify writes it, container, key) of every scalar."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        at = f"{path}[{key}]" if isinstance(value, list) else f"{path}.{key}" if path else key
        if isinstance(item, (dict, list)):
            yield from leaves(item, at)
        else:
            yield at, value, key


def other(value, rng):
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + rng.choice([1, -1, 7])
    return (value or "") + "x"


class Corruptor:
    """Writes copies of a base with one thing changed; returns what a report must name."""

    def __init__(self, base, manifest, rng):
        self.base, self.manifest, self.rng = base, manifest, rng
        self.weights, = [path.name for path in base.glob("*.safetensors")]
        self.content = (base / self.weights).read_bytes()
        self.start, self.tensors = header_of(self.content)
        self.texts = {path.name: path.read_bytes() for path in base.iterdir() if path.suffix != ".safetensors"}

    def tensor_at(self, offset):
        return next(name for name, tensor in self.tensors.items()
                    if tensor["data_offsets"][0] <= offset - self.start < tensor["data_offsets"][1])

    def bit(self):
        content = bytearray(self.content)
        offset = self.rng.randrange(self.start, len(content))
        content[offset] ^= 1 << self.rng.randrange(8)
        return self.weights, content, self.tensor_at(offset)

    def page(self):
        content = bytearray(self.content)
        while True:
            offset = self.rng.randrange(self.start // PAGE + 1, len(content) // PAGE) * PAGE
            if any(content[offset:offset + PAGE]):
                break
        first = next(i for i in range(offset, offset + PAGE) if content[i])
        content[offset:offset + PAGE] = bytes(PAGE)
        return self.weights, content, self.tensor_at(first)

    def swap(self):
        content = bytearray(self.content)
        while True:
            one, two = self.rng.sample(sorted(self.tensors), 2)
            a, b = self.tensors[one], self.tensors[two]
            if (a["dtype"], a["shape"]) != (b["dtype"], b["shape"]):
                continue
            (begin_a, end_a), (begin_b, end_b) = a["data_offsets"], b["data_offsets"]
            bytes_a, bytes_b = (content[self.start + begin:self.start + end] for begin, end in ((begin_a, end_a), (begin_b, end_b)))
            if bytes_a != bytes_b:
                break
        content[self.start + begin_a:self.start + end_a] = bytes_b
        content[self.start + begin_b:self.start + end_b] = bytes_a
        return self.weights, content, one

    def value(self):
        name = self.rng.choice(["config.json", "generation_config.json", "tokenizer_config.json"])
        document = json.loads(self.texts[name])
        path, container, key = self.rng.choice(list(leaves(document)))
        container[key] = other(container[key], self.rng)
        return name, json.dumps(document, indent=2).encode(), path

    def side_file(self):
        name = self.rng.choice(sorted(self.texts))
        content = bytearray(self.texts[name])
        content[self.rng.randrange(len(content))] ^= 1 << self.rng.randrange(8)
        return name, content, None

    def write(self, folder):
        name, content, subject = self.rng.choice([self.bit, self.bit, self.page, self.swap, self.value, self.side_file])()
        folder.mkdir()
        for path in self.base.iterdir():
            if path.name != name:
                (folder / path.name).symlink_to(path)
        (folder / name).write_bytes(content)
        (folder / "slim_manifest.json").symlink_to(self.manifest)
        return name, subject


def finding_key(finding):
    return finding["rule"], finding["tensor"], finding["message"]


class StructureCorruptor:
    """Writes copies of a base with one thing of its structure changed; returns what was done."""

    CONFIG = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size")
    LABELS = ("FLOAT", "W8A8", "W8A8_DYNAMIC", "W8A16", "W4A16", "W8A8S", "nonsense")
    DTYPES = ("F32", "F16", "BF16", "I8", "U8", "I32", "I64")

    def __init__(self, base, rng):
        self.base, self.rng = base, rng
        self.weights, = [path.name for path in base.glob("*.safetensors")]
        self.description, = [path.name for path in base.glob("quant_model_description*.json")]
        content = (base / self.weights).read_bytes()
        start, tensors = header_of(content)
        self.tensors = {name: (tensor["dtype"], tensor["shape"], content[start + tensor["data_offsets"][0]:start + tensor["data_offsets"][1]])
                        for name, tensor in tensors.items()}

    def with_tensors(self, tensors):
        header, data = {}, b""
        for name, (dtype, shape, content) in tensors.items():
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
            data += content
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        return self.weights, struct.pack("<Q", len(text)) + text + data

    def tensor(self):
        return self.rng.choice(sorted(self.tensors))

    def missing(self):
        gone = self.tensor()
        return *self.with_tensors({name: tensor for name, tensor in self.tensors.items() if name != gone}), f"without {gone}"

    def renamed(self):
        old = self.tensor()
        new = self.rng.choice([old + "x", old.replace(".", "_", 1), "x." + old])
        return *self.with_tensors({new if name == old else name: tensor for name, tensor in self.tensors.items()}), f"{old} is {new}"

    def dtype(self):
        name = self.tensor()
        dtype, shape, content = self.tensors[name]
        other_dtype = self.rng.choice([known for known in self.DTYPES if known != dtype])
        size = {"F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I8": 1, "U8": 1, "I64": 8}
        resized = (content * 8)[:len(content) // size[dtype] * size[other_dtype]]
        return *self.with_tensors({**self.tensors, name: (other_dtype, shape, resized)}), f"{name} {dtype} as {other_dtype}"

    def shape(self):
        while True:
            name = self.tensor()
            dtype, shape, content = self.tensors[name]
            changed = self.rng.choice([[*shape, 1], [1, *shape], shape[::-1]])
            if changed != shape and not (len(shape) <= 1 and content and changed == [1]):
                break
        return *self.with_tensors({**self.tensors, name: (dtype, changed, content)}), f"{name} {shape} as {changed}"

    def label(self):
        document = json.loads((self.base / self.description).read_text())
        name = self.rng.choice(sorted(key for key in document if key in self.tensors))
        old = document[name]
        # Nobody reads the label of a bias or of a norm's copy: writers give them FLOAT or the type.
        legal = {"FLOAT", document["model_quant_type"]} if name.endswith(".bias") or ".module." in name else {old}
        document[name] = self.rng.choice([label for label in self.LABELS if label not in {old, *legal}])
        return self.description, json.dumps(document, indent=2).encode(), f"{name} {old} as {document[name]}"

    def config(self):
        document = json.loads((self.base / "config.json").read_text())
        key = self.rng.choice(self.CONFIG)
        old = document[key]
        document[key] = self.rng.choice([old + 1, old * 2, max(1, old // 2) if old > 1 else old + 3])
        return "config.json", json.dumps(document, indent=2).encode(), f"{key} {old} as {document[key]}"

    def shard(self):
        return self.weights, None, "no weights"

    def write(self, folder):
        kinds = [self.missing, self.renamed, self.dtype, self.shape, self.label, self.config]
        name, content, what = self.rng.choice([*kinds, *kinds, self.shard])()
        folder.mkdir()
        for path in self.base.iterdir():
            if path.name != name:
                (folder / path.name).symlink_to(path)
        if content is not None:
            (folder / name).write_bytes(content)
        return what


class Corruption(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.scratch.name)

    def tearDown(self):
        self.scratch.cleanup()

    def run_tool(self, *arguments, paths):
        result = subprocess.run([BIN / "slim-verify", *arguments, "--json", "-"], input="".join(f"{path}\n" for path in paths),
                                capture_output=True, text=True, timeout=600, check=False)
        self.assertIn(result.returncode, (0, 1, 3), result.stderr[-2000:])
        return json.loads(result.stdout)

    def test_structure_needs_no_manifest(self):
        wanted = []
        for share, base in zip(shares(), BASES):
            corruptor = StructureCorruptor(base, random.Random(base.name))
            for _ in range(share):
                folder = self.folder / f"s{len(wanted)}"
                wanted.append((folder, f"{base.name}: {corruptor.write(folder)}"))
        reports = self.run_tool(paths=[folder for folder, _ in wanted])["reports"]
        sound = {finding_key(finding) for report in self.run_tool(paths=BASES)["reports"] for finding in report["findings"]}
        missed = [what for (_, what), report in zip(wanted, reports)
                  if report["ok"] and not {finding_key(finding) for finding in report["findings"]} - sound]
        print(f"{len(wanted) - len(missed)} of {len(wanted)} corruptions of structure found")
        self.assertEqual(missed, [])

    def test_every_corruption_is_named(self):
        wanted = []
        for share, base in zip(shares(), BASES):
            rng = random.Random(base.name)
            manifest = self.folder / f"{len(wanted)}.json"
            subprocess.run([BIN / "slim-verify", "-q", "--manifest", "write", "--manifest-file", manifest, base], check=True)
            corruptor = Corruptor(base, manifest, rng)
            for _ in range(share):
                folder = self.folder / f"c{len(wanted)}"
                wanted.append((folder, *corruptor.write(folder)))
        reports = self.run_tool("--manifest", "check", paths=[folder for folder, _, _ in wanted])["reports"]
        missed = [(folder.name, name, subject, report["findings"])
                  for (folder, name, subject), report in zip(wanted, reports) if not self.names(report, name, subject)]
        print(f"{len(wanted) - len(missed)} of {len(wanted)} corruptions found and named")
        self.assertEqual(missed, [])

    @staticmethod
    def names(report, name, subject):
        findings = report["findings"]
        if report["ok"] or {pathlib.Path(finding["path"]).name for finding in findings} != {name}:
            return False
        quoted = [finding["message"].split("'")[1] for finding in findings if "'" in finding["message"]]
        return subject is None or subject in quoted or any(subject == finding["tensor"] for finding in findings)

    def untouched(self, number, golden):
        """A copy as people have it: plain, or links into a cache; harmless files beside; side files of the other generation."""
        folder = self.folder / f"{number}" / "snapshot"
        folder.mkdir(parents=True)
        blobs = folder.parent / "blobs"
        blobs.mkdir()
        for index, file in enumerate(sorted(path for path in golden.rglob("*") if path.is_file())):
            (blobs / str(index)).symlink_to(file) if number % 3 else shutil.copyfile(file, blobs / str(index))
            place = folder / file.relative_to(golden)
            place.parent.mkdir(exist_ok=True)
            place.symlink_to(pathlib.Path(*[".."] * len(place.relative_to(folder.parent).parents[:-1]), "blobs", str(index)))
        for extra in ("README.md", "LICENSE", ".gitattributes", "notes.txt")[:number % 5]:
            (folder / extra).write_text("harmless\n")
        if number % 2:
            self.modernize(folder)
        return folder

    @staticmethod
    def modernize(folder):
        """As transformers 5 saves the side files: dtype, rope_parameters, TokenizersBackend, the chat template in a file of its own."""
        config = json.loads((folder / "config.json").read_text())
        if "torch_dtype" in config:
            config["dtype"] = config.pop("torch_dtype")
        if "rope_theta" in config:
            config["rope_parameters"] = {"rope_theta": config.pop("rope_theta"), "rope_type": "default"}
        config["transformers_version"] = "5.2.0"
        (folder / "config.json").unlink()
        (folder / "config.json").write_text(json.dumps(config, indent=2))
        tokenizer = folder / "tokenizer_config.json"
        if tokenizer.exists():
            document = json.loads(tokenizer.read_text())
            document["tokenizer_class"] = "TokenizersBackend"
            template = document.pop("chat_template", None)
            tokenizer.unlink()
            tokenizer.write_text(json.dumps(document, indent=2))
            if template is not None:
                (folder / "chat_template.jinja").write_text(template)

    def other_layouts(self):
        """What no golden has: made from the goldens, those of other ecosystems by a writer of the tests' own."""
        made = self.folder / "made"
        made.mkdir()
        for name, make in foreign_checkpoints.LAYOUTS.items():
            make(GOLDEN / "models" / "mini-qwen2-bfloat16", made / name)
        sparse_checkpoint.make(made / "sparse")
        conversions = {"parts": (made / "sparse", "--to", "mindie-parts", "--tp", "2", "--dtype", "fp16", "--allow-loss"),
                       "gguf": (GOLDEN / "models" / "mini-qwen2-bfloat16", "--to", "gguf"),
                       "gguf-q8": (GOLDEN / "one-click" / "mini-qwen2-bfloat16" / "w8a8-dynamic", "--to", "gguf", "--allow-loss"),
                       "npy": (GOLDEN / "one-click" / "mini-qwen3-float16" / "w8a8-static", "--to", "npy")}
        for name, arguments in conversions.items():
            subprocess.run([BIN / "slim-convert", "-q", *arguments, "-o", made / name], check=True)
        (made / "torch").mkdir()
        shutil.copyfile(ROOT / "tests" / "fuzz" / "corpus" / "torch_file" / "state_dict", made / "torch" / "pytorch_model.bin")
        (made / "torch" / "config.json").write_text('{"model_type": "other", "torch_dtype": "float32"}')
        return sorted(made.iterdir())

    def test_no_false_alarm(self):
        """200 untouched ones: no error without a manifest, no finding with one."""
        folders = [GOLDEN, ROOT / "testdata" / "foreign"] + [folder for folder in (SHARED / "golden",) if folder.is_dir()]
        goldens = sorted({path.parent.name + str(path.parent.parent.name): path.parent
                          for folder in folders for path in folder.rglob("config.json")}.values()) + self.other_layouts()
        paths = [self.untouched(number, goldens[number % len(goldens)]) for number in range(200)]
        dialects = set()
        for report in self.run_tool("--deep", paths=paths)["reports"]:
            self.assertEqual(report.get("errors"), 0, report)
            dialects.add(report["dialect"])
        self.run_tool("--manifest", "write", paths=paths)
        for report in self.run_tool("--manifest", "check", paths=paths)["reports"]:
            self.assertEqual(report["findings"], [])
        self.assertLessEqual(DIALECTS, dialects)
        print(f"no false alarm on {len(paths)} untouched copies of {len(goldens)} checkpoints: {', '.join(sorted(dialects))}")


if __name__ == "__main__":
    unittest.main()
