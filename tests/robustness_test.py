#!/usr/bin/env python3
"""No input ends slim-verify in a crash, a hang over 5 s or memory above 6 x header + 64 MiB: the corpus of malformed files, every
prefix and every bit of small headers, and damaged JSON files of a checkpoint."""

import json
import os
import pathlib
import random
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import container_mutants  # noqa: E402
from checkpoint_files import Tensor, tensor, write_safetensors  # noqa: E402
from measured_run import run_measured  # noqa: E402

GOLDEN = ROOT / "testdata" / "golden" / "one-click" / "mini-qwen2-bfloat16" / "w8a8-static"
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
SECONDS = 5
MIB = 1 << 20
# Sanitizers need more of both, and are not what the limits are about.
INSTRUMENTED = "release" not in str(BIN)


def unescape(text):
    return re.sub(rb"\\(?:x(..)|(.))", lambda m: bytes([int(m[1], 16)]) if m[1] else m[2], text)


def tensors(count, info):
    return b"{" + b",".join(b'"w%d":{%s}' % (i, info(i)) for i in range(count)) + b"}"


def made_header(kind, n):
    """The headers of tests/corpus/cases.tsv that are too long to stand there."""
    valid = b'"dtype":"F32","shape":[2],"data_offsets":[0,8]'
    return {
        "@padded": lambda: b"{}" + b" " * (n - 2),
        "@long-name": lambda: b'{"' + b"a" * n + b'":{' + valid + b"}}",
        "@deep-array": lambda: b'{"t":' + b"[" * n + b"]" * n + b"}",
        "@deep-field": lambda: b'{"t":{' + valid + b',"x":' + b"[" * n + b"]" * n + b"}}",
        "@rank": lambda: b'{"t":{"dtype":"F32","shape":[1' + b",1" * (n - 1) + b'],"data_offsets":[0,4]}}',
        "@same-range": lambda: tensors(n, lambda i: b'"dtype":"F32","shape":[2,2],"data_offsets":[0,16]'),
        "@zero-size": lambda: tensors(n, lambda i: b'"dtype":"F32","shape":[0],"data_offsets":[0,0]'),
        "@metadata-value": lambda: b'{"__metadata__":{"k":"' + b"v" * n + b'"}}',
        "@metadata-keys": lambda: b'{"__metadata__":{' + b",".join(b'"k%d":""' % i for i in range(n)) + b"}}",
        "@byte-tensors": lambda: tensors(n, lambda i: b'"dtype":"U8","shape":[1],"data_offsets":[%d,%d]' % (i, i + 1)),
    }[kind]()


def corpus():
    """(id, header, whole file, verdict) of every case."""
    for line in (ROOT / "tests" / "corpus" / "cases.tsv").read_bytes().splitlines():
        if line.startswith(b"#"):
            continue
        name, length, header, data, verdict = (line.split(b"\t") + [b""] * 5)[:5]
        if header.startswith(b"@"):
            kind, n = header.decode().split()
            header = made_header(kind, int(n))
        else:
            header = unescape(header)
        if b"*" in data:
            count, byte = data.split(b"*")
            data = bytes.fromhex(byte.decode()) * int(count)
        else:
            data = bytes.fromhex(data.decode())
        prefix = b"" if length == b"none" else struct.pack("<Q", len(header) if length == b"auto" else int(length))
        yield name.decode(), header, prefix + header + data, verdict.decode()


def damaged(content, rng, header_only):
    """Cut, flipped and replaced; of a safetensors file within its header."""
    end = 8 + struct.unpack("<Q", content[:8])[0] if header_only else len(content)
    yield content[:rng.randrange(end)]
    for _ in range(12):
        flipped = bytearray(content)
        flipped[rng.randrange(end)] ^= 1 << rng.randrange(8)
        yield bytes(flipped)
    for old, new in ((b"64", b"18446744073709551615"), (b"64", b"-1"), (b"[", b"[["), (b"I8", b"F4"), (b"F16", b"I64"), (b":", b": null,"),
                     (b"32", b"0"), (b"true", b"{}"), (b"\"", b"")):
        at = content.find(old, rng.randrange(end) // 2, end)
        if at >= 0:
            changed = content[8 if header_only else 0:at] + new + content[at + len(old):]
            shift = len(new) - len(old)
            yield struct.pack("<Q", end - 8 + shift) + changed if header_only else changed
    if not header_only:
        yield from (b"", b"null", b"[]", b"[" * 100000, b'{"a":' * 5000, b"\xff\xfe{\0}\0")


def foreign_bases(folder):
    """One small checkpoint of each dialect of another ecosystem, and a directory of parts."""
    def write(name, config, tensors, description=None):
        target = folder / name
        target.mkdir(parents=True)
        write_safetensors(target / "model.safetensors", {"model.norm.weight": tensor("F16", [64], [1.0] * 64), **tensors})
        sizes = dict(model_type="qwen2", hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
                     num_key_value_heads=2, vocab_size=64, torch_dtype="float16")
        (target / "config.json").write_text(json.dumps({**sizes, **config}))
        for file, document in (description or {}).items():
            (target / file).write_text(json.dumps(document))
        return target

    q = "model.layers.0.self_attn.q_proj"
    codes = tensor("I8", [64, 64], [i % 120 - 60 for i in range(4096)])
    scale = tensor("F16", [64, 1], [0.01] * 64)
    words = {q + ".qweight": tensor("I32", [8, 64], range(512)), q + ".qzeros": tensor("I32", [2, 8], [0x77777777] * 16),
             q + ".scales": tensor("F16", [2, 64], [0.01] * 128)}
    yield write("gptq", {"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": True, "desc_act": False}},
                {**words, q + ".g_idx": tensor("I32", [64], [j // 32 for j in range(64)])})
    yield write("awq", {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"}},
                {**words, q + ".qweight": tensor("I32", [64, 8], range(512))})
    yield write("fp8", {"quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [32, 32]}},
                {q + ".weight": Tensor("F8_E4M3", [64, 64], codes.data), q + ".weight_scale_inv": tensor("F32", [2, 2], [0.5] * 4)})
    arguments = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False}
    yield write("ct", {"quantization_config": {"quant_method": "compressed-tensors", "quantization_status": "compressed", "config_groups":
                                               {"group_0": {"targets": ["Linear"], "weights": arguments}}}},
                {q + ".weight": codes, q + ".weight_scale": scale})
    layer = {q + ".weight": codes, q + ".weight_scale": tensor("F16", [64], [0.01] * 64), q + ".weight_offset": tensor("I32", [64], [0] * 64)}
    yield write("golden-stick", {}, layer, {"quantization_description.json": {**{name: "W8A16" for name in layer},
                                                                               "model.norm.weight": "FLOAT"}})
    parts = write("parts", {"quantize": "w8a8sc"}, {})
    (parts / "model.safetensors").unlink()
    c = "transformer.h.0.attn.c_attn"
    packed = {c + ".weight": tensor("I8", [100], [1] * 100), c + ".index": tensor("I8", [8], [0] * 8),
              c + ".info": tensor("I64", [5], [8, 8, 64, 96, 1]), c + ".input_scale": tensor("F16", [1], [0.1]),
              c + ".input_offset": tensor("I8", [1], [0]), c + ".deq_scale": tensor("I64", [96], [0x38000000] * 96),
              c + ".quant_bias": tensor("I32", [96], [0] * 96)}
    for rank in range(2):
        part = parts / f"part{rank}-of-2"
        part.mkdir()
        write_safetensors(part / "quant_model_weight_w8a8sc.safetensors", packed)
        (part / "quant_model_description.json").write_text(json.dumps({"model_quant_type": "W8A8SC", **{name: "W8A8SC" for name in packed}}))
    yield parts


class Robustness(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="slim-robustness-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.folder = pathlib.Path(self.scratch.name)

    def tearDown(self):
        self.scratch.cleanup()

    def run_tool(self, *arguments, paths=(), seconds=SECONDS):
        """(exit code, stdout, peak MiB)."""
        process = subprocess.Popen([BIN / "slim-verify", *map(str, arguments)], cwd=self.folder, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1)))
        out, err = process.communicate("".join(f"{path}\n" for path in paths), timeout=60)
        self.assertIn(process.returncode, range(6), f"{arguments}: {process.returncode}\n{err[-2000:]}")
        self.assertNotEqual(process.returncode, 5, err[-2000:])
        return process.returncode, out

    def deep(self, path):
        return run_measured([BIN / "slim-verify", "--deep", "--quiet", path], timeout=120)

    def reports(self, *arguments, paths):
        """One report or failure for every path."""
        _, out = self.run_tool("--json", *arguments, "-", paths=paths, seconds=30)
        reports = json.loads(out)["reports"]
        self.assertEqual([report["path"] for report in reports], [str(path) for path in paths])
        return reports

    def written(self, variants):
        paths = []
        for variant in variants:
            paths.append(self.folder / f"{len(paths)}.safetensors")
            paths[-1].write_bytes(variant)
        return paths

    def test_corpus(self):
        count, slowest, highest = 0, (0, ""), (0, "")
        for name, header, content, verdict in corpus():
            path = self.folder / "x.safetensors"
            path.write_bytes(content)
            with self.subTest(name):
                run = self.deep(path)
                count, slowest, highest = count + 1, max(slowest, (run.seconds, name)), max(highest, (run.peak // MIB, name))
                self.assertEqual(run.code, 0 if verdict == "accept" else 1)
                if not INSTRUMENTED:
                    self.assertLessEqual(run.peak, 6 * len(header) + 64 * MIB)
                    self.assertLessEqual(run.seconds, SECONDS)
        print(f"{count} files; slowest {slowest[0]:.2f} s of {slowest[1]}, most memory {highest[0]} MiB of {highest[1]}")

    def test_prefixes_and_bits(self):
        header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
                             "b": {"dtype": "I8", "shape": [2, 3], "data_offsets": [8, 14]},
                             "c\u00e9": {"dtype": "BF16", "shape": [], "data_offsets": [14, 16]}}).encode()
        whole = struct.pack("<Q", len(header)) + header + bytes(range(16))
        variants = [whole[:n] for n in range(len(whole))]
        for bit in range(8 * (8 + len(header))):
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            variants.append(bytes(flipped))
        reports = self.reports("--deep", paths=self.written(variants))
        for report in reports[:len(whole)]:
            self.assertFalse(report["ok"], report["path"])
        self.assertGreater(sum(report["ok"] for report in reports), 0)  # a flipped letter of a name, say
        print(f"{len(whole)} prefixes, {len(variants) - len(whole)} flipped bits, {sum(report['ok'] for report in reports)} of these accepted")

    def test_mutants_against_the_recorded_reference(self):
        accepted = self.reports(paths=self.written(container_mutants.mutants()))
        accepted = [report["ok"] for report in accepted]
        looser = [number for number, (ours, theirs) in enumerate(zip(accepted, container_mutants.answers(), strict=True)) if ours and not theirs]
        self.assertEqual(looser, [], "accepted, and refused by the reference")
        print(f"{len(accepted)} mutants, {sum(accepted)} accepted, by the reference {sum(container_mutants.answers())}")
        self.assertGreater(sum(accepted), len(accepted) // 100)

    def test_damaged_checkpoints(self):
        rng = random.Random(2)
        paths = []
        for name in sorted(path.name for path in GOLDEN.glob("*.json")):
            content = (GOLDEN / name).read_bytes()
            variants = [content[:rng.randrange(len(content))] for _ in range(8)]
            for _ in range(16):
                flipped = bytearray(content)
                flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
                variants.append(bytes(flipped))
            variants += [b"", b"null", b"[" * 100000, b'{"a":' * 5000, b"[" + b"0," * 100000 + b"0]", b"\xff\xfe{\0}\0"]
            for variant in variants:
                folder = self.folder / str(len(paths))
                folder.mkdir()
                for file in GOLDEN.iterdir():
                    if file.name != name:
                        (folder / file.name).symlink_to(file)
                (folder / name).write_bytes(variant)
                paths.append(folder)
        self.reports("--deep", paths=paths)
        manifest = self.folder / "manifest.json"
        self.run_tool("--manifest", "write", "--manifest-file", manifest, GOLDEN)
        for folder in paths[::10]:
            code, out = self.run_tool("--manifest", "check", "--manifest-file", manifest, "--json", folder)
            self.assertEqual(code, 1, out)

    def test_damaged_foreign_checkpoints(self):
        """Headers, descriptions and configurations of other ecosystems and of tensor-parallel parts, damaged."""
        rng = random.Random(4)
        paths = []
        for base in foreign_bases(self.folder / "bases"):
            for path in sorted(path for path in base.rglob("*") if path.suffix in (".json", ".safetensors")):
                for variant in damaged(path.read_bytes(), rng, path.suffix == ".safetensors"):
                    folder = self.folder / str(len(paths))
                    shutil.copytree(base, folder)
                    (folder / path.relative_to(base)).write_bytes(variant)
                    paths.append(folder)
        reports = self.reports("--deep", "--for", "mindie,mindie-atb,vllm-ascend,sglang,vllm-mindspore", paths=paths)
        self.assertGreater(len({report.get("dialect") for report in reports}), 5)
        if INSTRUMENTED:
            return
        for folder in paths[::25]:
            run = self.deep(folder)
            self.assertIn(run.code, (0, 1, 3))
            self.assertLessEqual(run.peak, 65 * MIB)
            self.assertLessEqual(run.seconds, SECONDS)

    def test_damaged_manifests(self):
        model = self.folder / "model"
        shutil.copytree(GOLDEN, model)
        self.run_tool("--manifest", "write", model)
        manifest = model / "slim_manifest.json"
        content = manifest.read_bytes()
        rng = random.Random(3)
        for _ in range(60):
            damaged = bytearray(content[:rng.randrange(len(content))] if rng.random() < 0.3 else content)
            if len(damaged) == len(content):
                damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            manifest.write_bytes(damaged)
            self.run_tool("--manifest", "check", model)


if __name__ == "__main__":
    unittest.main()
