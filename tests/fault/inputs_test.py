#!/usr/bin/env python3
"""Inputs that change while they are read, that name what is not theirs, that hold hostile values, lie at odd or huge offsets; and
that the bytes made of an honest one depend on nothing else (facts: reliability.md R9, R10, R16, R17, R19, R21, R22, R24, R25)."""

import itertools
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from scenes import BIN, GOLDEN, LONG, MODEL, ROOT, SCENES, Stage, snapshot  # noqa: E402
from checkpoint_files import Tensor, read_safetensors, tensor, write_safetensors  # noqa: E402
from measured_run import run_measured  # noqa: E402

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
HAS_STRACE = shutil.which("strace") and subprocess.run(["strace", "-o", "/dev/null", "true"], check=False, capture_output=True).returncode == 0


def run(folder, *words, **options):
    return subprocess.run([BIN / words[0], *map(str, words[1:])], cwd=folder, capture_output=True, text=True, errors="backslashreplace",
                          timeout=120, check=False, **options)


class Folder(unittest.TestCase):
    place = MEMORY

    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="slim-fault-", dir=self.place)
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name)

    def model(self, name, source=MODEL):
        shutil.copytree(source, self.folder / name)
        return self.folder / name


class Changing(unittest.TestCase):
    """Another process touches an input between two reads: at the call itself, so that no moment is missed by chance."""

    @classmethod
    def setUpClass(cls):
        cls.stage = Stage()

    @classmethod
    def tearDownClass(cls):
        cls.stage.close()

    def change(self, action):
        stage, runs = self.stage, 0
        saved = stage.folder.parent / (stage.folder.name + "-saved")
        names = [name for name in stage.names if (stage.folder / name).is_dir()]
        shutil.copytree(stage.folder, saved, ignore=shutil.ignore_patterns("*.so"))
        try:
            for scene in SCENES:
                for number in stage.numbers(stage.counts[scene]["pread"]):
                    if action == "swap":
                        for path in [path for name in names for path in (stage.folder / name).iterdir() if path.is_file()]:
                            shutil.copyfile(path, f"{path}.new")
                    with self.subTest(scene=str(scene), action=action, number=number):
                        result, came = stage.play(scene, f"pread {number} 0 {action}")
                        runs += came
                        self.check(scene, result, action)
                    stage.clear(scene)
                    for name in names:
                        shutil.rmtree(stage.folder / name)
                        shutil.copytree(saved / name, stage.folder / name)
                    for name in ("calib.jsonl", "prompts.txt"):
                        shutil.copyfile(saved / name, stage.folder / name)
        finally:
            shutil.rmtree(saved)
        print(f"{runs} inputs changed by {action}")

    def check(self, scene, result, action):
        self.assertIn(result.returncode, (0, 3, 4) if not scene.judges else (0, 1, 3, 4), result.stderr)
        if action == "swap" and scene.name != "manifest":  # whose listing has the files that are swapped in, too
            self.assertEqual(result.returncode, 0, result.stderr)  # what was opened is read to its end
        for name, wanted in self.stage.wanted[scene].items() if scene.name != "manifest" else ():
            found = snapshot(self.stage.folder / name)
            if result.returncode == 0 and found is not None:
                continue  # read before the change, or a text that is whole as it is now
            if not scene.judges and found is not None:
                self.assertEqual(found, wanted)
        self.assertEqual([path for path in self.stage.left() if path.suffix != ".new"], [])

    def test_shrinking(self):
        self.change("cut")

    def test_growing(self):
        self.change("append")

    def test_swapped(self):
        self.change("swap")


class HostileIndex(Folder):
    """The names in model.safetensors.index.json come from a stranger."""

    NAMES = ["../secret.safetensors", "/etc/passwd", "a/../../secret.safetensors", "", ".", "..", "a\0b.safetensors", "..\\secret.safetensors",
             "x" * 256 + ".safetensors", "missing.safetensors", "fifo.safetensors", "folder.safetensors", "zero.safetensors", "loop.safetensors",
             "sub/model.safetensors", "config.json", "\x1b[2Jx.safetensors", "model.safetensors\n", "~/secret.safetensors", "file:///etc/passwd"]

    def prepare(self, name):
        secret = self.folder / "secret.safetensors"
        if not secret.exists():
            shutil.copyfile(MODEL / "model.safetensors", secret)
        model = self.model("model")
        (model / "model.safetensors").rename(model / "model-00001-of-00002.safetensors")
        (model / "sub").mkdir()
        shutil.copyfile(MODEL / "model.safetensors", model / "sub" / "model.safetensors")
        odd = {"fifo.safetensors": os.mkfifo, "folder.safetensors": os.mkdir, "zero.safetensors": lambda path: path.symlink_to("/dev/zero"),
               "loop.safetensors": lambda path: path.symlink_to("loop.safetensors")}
        if name in odd:
            odd[name](model / name)
        names = sorted(read_safetensors(MODEL / "model.safetensors"))
        places = {tensor_name: "model-00001-of-00002.safetensors" for tensor_name in names}
        places[names[0]] = name
        (model / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
        return model

    def test_names(self):
        for name in self.NAMES:
            model = self.prepare(name)
            for words, codes in ((["slim-verify", "model"], (1, 3, 4) if name == "loop.safetensors" else (1, 3)), (["slim-quant", "model", "-o", "out", "--type", "w8a16"], (3, 4)),
                                 (["slim-convert", "model", "-o", "out", "--to", "gguf"], (3, 4)), (["slim-run", "model", "-p", "Hi"], (3, 4)),
                                 (["slim-diff", "model", "model", "--windows", "1"], (3, 4))):
                with self.subTest(name=name, tool=words[0]):
                    began = time.monotonic()
                    result = run(self.folder, *words)
                    self.assertLess(time.monotonic() - began, 30)
                    self.assertIn(result.returncode, codes, result.stderr)
                    self.assertFalse((self.folder / "out").exists())
                    self.assertNotIn("\x1b", result.stdout + result.stderr)
            if HAS_STRACE and name:
                trace = self.folder / "trace"
                subprocess.run(["strace", "-f", "-o", trace, "-e", "trace=open,openat,openat2", BIN / "slim-verify", "-q", model], cwd=self.folder,
                               check=False, capture_output=True)
                self.assertNotRegex(trace.read_text(errors="replace"), r'"[^"]*(secret\.safetensors|/etc/passwd|sub/model)[^"]*"')
            shutil.rmtree(model)
        print(f"{len(self.NAMES)} hostile names through five tools")

    def test_content(self):
        """Maps that are no map of this checkpoint."""
        names = sorted(read_safetensors(MODEL / "model.safetensors"))
        whole = {name: "model.safetensors" for name in names}
        texts = {
            "a tensor that no file has": json.dumps({"weight_map": {**whole, "extra.weight": "model.safetensors"}}),
            "a tensor twice": json.dumps({"weight_map": whole}).replace('{"weight_map": {', '{"weight_map": {"%s": "model.safetensors", ' % names[0]),
            "the map twice": '{"weight_map": {}, "weight_map": {}}',
            "no map": "{}", "a list": "[]", "a number": '{"weight_map": {"a": 1}}', "null": '{"weight_map": null}', "cut": '{"weight_map": {"a": "m',
            "deep": "[" * 100000,
        }
        model = self.model("model")
        (model / "model.safetensors").rename(model / "model-00001-of-00001.safetensors")
        for what, text in texts.items():
            with self.subTest(what):
                (model / "model.safetensors.index.json").write_text(text.replace('"model.safetensors"', '"model-00001-of-00001.safetensors"'))
                self.assertIn(run(self.folder, "slim-verify", "model").returncode, (1, 3))
                result = run(self.folder, "slim-quant", "model", "-o", "out", "--type", "w8a16")
                self.assertEqual(result.returncode, 3, result.stderr)
                self.assertFalse((self.folder / "out").exists())

    def test_a_million_entries(self):
        model = self.model("model")
        (model / "model.safetensors").rename(model / "model-00001-of-00001.safetensors")
        places = ",".join(f'"t{i}":"model-00001-of-00001.safetensors"' for i in range(1_000_000))
        (model / "model.safetensors.index.json").write_text('{"weight_map":{' + places + "}}")
        began = time.process_time(), time.monotonic()
        result = run(self.folder, "slim-quant", "model", "-o", "out", "--type", "w8a16")
        self.assertEqual(result.returncode, 3, result.stderr[-500:])
        self.assertLess(len(result.stderr), 5000)
        self.assertLess(time.monotonic() - began[1], 30)

    def test_links_of_a_cache_are_followed(self):
        blobs = self.model("blobs")
        (self.folder / "snapshots" / "main").mkdir(parents=True)
        for path in blobs.iterdir():
            (self.folder / "snapshots" / "main" / path.name).symlink_to(f"../../blobs/{path.name}")
        self.assertEqual(run(self.folder, "slim-verify", "snapshots/main").returncode, 0)


class Values(Folder):
    """NaN, infinities, denormals, signed zeros, zero channels and the largest finite number in every float type, through every type."""

    TYPES = ["w8a8_dynamic", "w8a16", "w4a8", "w4a16", "w4a4", "fp8", "w8a8_mxfp8", "w4a4_mxfp4"]
    CALIBRATED = ["w8a8", "w8a8_mix", "w8a8s"]
    BITS = {"BF16": ("H", 0x7FC0, 0x7F80, 0x0001, 0x7F7F, 0x8000), "F16": ("H", 0x7E00, 0x7C00, 0x0001, 0x7BFF, 0x8000),
            "F32": ("I", 0x7FC00000, 0x7F800000, 0x00000001, 0x7F7FFFFF, 0x80000000)}
    MODELS = {"BF16": MODEL, "F16": GOLDEN / "models" / "mini-qwen3-float16", "F32": GOLDEN / "models" / "mini-qwen2-float32"}

    def hostile(self, dtype):
        """{name: (bits of the first row of a weight, whether it can be quantized)}"""
        _, nan, infinity, denormal, largest, minus_zero = self.BITS[dtype]
        minus = minus_zero  # the sign bit
        return {"nan": ([nan], False), "infinity": ([infinity], False), "minus infinity": ([infinity | minus], False),
                "denormal": ([denormal], True), "only denormals": (None, True), "minus zero": ([minus], True), "zero channel": ([0] * 64, True),
                "largest": ([largest], True), "largest of both signs": ([largest, largest | minus], True)}

    def make(self, dtype, bits):
        shutil.rmtree(self.folder / "model", ignore_errors=True)
        model = self.model("model", self.MODELS[dtype])
        tensors = read_safetensors(model / "model.safetensors")
        name = "model.layers.1.self_attn.q_proj.weight"
        held = tensors[name]
        code = self.BITS[dtype][0]
        values = list(struct.unpack(f"<{len(held.data) // struct.calcsize(code)}{code}", held.data))
        if bits is None:
            values[:held.shape[1]] = [1 + i % 5 for i in range(held.shape[1])]
        else:
            row = (bits * held.shape[1])[:held.shape[1]] if len(bits) > 8 else bits
            values[:len(row)] = row
        tensors[name] = Tensor(held.dtype, held.shape, struct.pack(f"<{len(values)}{code}", *values))
        write_safetensors(model / "model.safetensors", tensors)

    def test_every_type(self):
        runs = 0
        for dtype in self.BITS:
            for name, (bits, fine) in self.hostile(dtype).items():
                self.make(dtype, bits)
                # Forward passes overflow on some of these: what matters there is that nothing crashes nor lies.
                types = self.TYPES + (self.CALIBRATED if LONG or dtype == "BF16" and name in ("nan", "largest", "zero channel") else [])
                for kind in types:
                    with self.subTest(dtype=dtype, value=name, type=kind):
                        words = ["slim-quant", "model", "-o", "out", "--type", kind, "-q"]
                        words += ["--calib", GOLDEN / "calib.jsonl"] if kind in self.CALIBRATED else ["--smooth", "none", "--weight-method", "minmax"]
                        if kind == "w8a8s" and dtype == "BF16":
                            words += ["--dtype", "fp16"]
                        if kind in ("w8a16", "w4a16"):
                            words.remove("--smooth")
                            words.remove("none")
                        shutil.rmtree(self.folder / "out", ignore_errors=True)
                        result = run(self.folder, *words, "--no-fsync")
                        runs += 1
                        # 8 times a sum of the largest numbers is beyond them.
                        overflows = kind == "w4a8" and name.startswith("largest") and dtype != "F16"
                        if fine and kind not in self.CALIBRATED and not overflows:
                            self.assertEqual(result.returncode, 0, result.stderr)
                        self.assertIn(result.returncode, (0, 3) if fine else (3,), result.stderr)
                        if result.returncode == 3:
                            self.assertIn("model.layers.", result.stderr)
                            self.assertFalse((self.folder / "out").exists())
                        elif LONG or name == "largest":
                            verdict = run(self.folder, "slim-verify", "--deep", "out")
                            self.assertEqual(verdict.returncode, 0, verdict.stdout)
        print(f"{runs} hostile values")
        self.assertGreaterEqual(runs, 200)


class Offsets(Folder):
    def shifted(self, source, target, shift):
        """The same tensors, `shift` bytes further."""
        content = source.read_bytes()
        size, = struct.unpack("<Q", content[:8])
        header = content[8:8 + size].rstrip()
        header += b" " * (-len(header) % 8 + shift)
        target.write_bytes(struct.pack("<Q", len(header)) + header + content[8 + size:])

    def test_unaligned(self):
        """Tensors of every width at odd addresses give what aligned ones give."""
        commands = {
            "quant": ["slim-quant", "MODEL", "-o", "OUT", "--type", "w8a16"], "static": ["slim-quant", "MODEL", "-o", "OUT", "--calib", GOLDEN / "calib.jsonl"],
            "gguf": ["slim-convert", "MODEL", "-o", "OUT", "--to", "gguf"], "logits": ["slim-run", "MODEL", "-p", "Hi", "-n", "1", "--logits", "OUT"]}
        weights = {"float": MODEL, "static": GOLDEN / "one-click" / "mini-qwen2-bfloat16" / "w8a8-static"}
        commands["dequantize"] = ["slim-convert", "STATIC", "-o", "OUT", "--dequantize"]
        commands["answer"] = ["slim-run", "STATIC", "-p", "Hi", "-n", "1", "--logits", "OUT"]
        wanted, runs = {}, 0
        for shift in range(8):
            models = {}
            for name, source in weights.items():
                shutil.rmtree(self.folder / name, ignore_errors=True)
                models[name] = self.model(name, source)
                weight = next(path for path in models[name].glob("*.safetensors"))
                self.shifted(next(source.glob("*.safetensors")), weight, shift)
            self.assertEqual(run(self.folder, "slim-verify", "--deep", *models.values()).returncode, 0)
            for name, command in commands.items():
                if not LONG and shift not in (0, 1, 4) and name != "quant":
                    continue
                words = [{"MODEL": "float", "STATIC": "static", "OUT": "out"}.get(word, word) for word in command]
                result = run(self.folder, *words, "-q", "--no-fsync" if "slim-run" not in words else "--threads=1")
                self.assertEqual(result.returncode, 0, result.stderr)
                found = snapshot(self.folder / "out")
                if isinstance(found, dict):
                    found.pop("slim_receipt.json", None)  # has the digests of the inputs
                self.assertEqual(wanted.setdefault(name, found), found, f"{name} at {shift}")
                out = self.folder / "out"
                shutil.rmtree(out) if out.is_dir() else out.unlink()
                runs += 1
        print(f"{runs} outputs of tensors at odd addresses")

    def sparse(self, name, size):
        """A file with one tensor of `size` zero bytes, of which the disk holds none, and a last one that it holds."""
        header = json.dumps({"big": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]},
                             "last": {"dtype": "F32", "shape": [2], "data_offsets": [size, size + 8]}}).encode()
        path = self.folder / name
        with open(path, "wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            try:
                file.truncate(8 + len(header) + size + 8)
            except OSError as error:
                self.skipTest(f"no file of {size} bytes here: {error}")
            file.seek(8 + len(header) + size)
            file.write(struct.pack("<2f", 1, float("nan") if size < 1 << 40 else 2))
        return path

    def test_huge_files(self):
        for size in (5 << 30, 1 << 40, (1 << 47) - 4096):
            path = self.sparse(f"{size}.safetensors", size)
            verified = run_measured([BIN / "slim-verify", "--quiet", path])
            self.assertEqual(verified.code, 0, verified.error)
            self.assertLess(verified.seconds, 0.1 if "release" in str(BIN) else 5)
            print(f"headers of {size} bytes: {1000 * verified.seconds:.0f} ms")
            result = run(self.folder, "slim-verify", "--list", "--json", path)
            self.assertIn(str(size), result.stdout)
            if size == 5 << 30 and LONG:
                result = run(self.folder, "slim-verify", "--deep", path)
                self.assertEqual(result.returncode, 1, result.stdout)
                self.assertIn("last", result.stdout)
            path.unlink()


class Determinism(Folder):
    def test_one_digest(self):
        """Instruction sets, thread counts and repetitions: the same bytes."""
        isas = [isa for isa in ("scalar", "avx2", "avx512") if run(self.folder, "slim-verify", "--version", env={"SLIM_ISA": isa}).returncode == 0]
        isas = [isa for isa in isas if run(self.folder, "slim-verify", MODEL, env={"SLIM_ISA": isa}).returncode == 0]
        commands = {"quant": ["slim-quant", MODEL, "-o", "out", "--calib", GOLDEN / "calib.jsonl", "--no-fsync"],
                    "convert": ["slim-convert", GOLDEN / "one-click" / "mini-qwen2-bfloat16" / "w8a8-static", "-o", "out", "--dequantize", "--no-fsync"],
                    "logits": ["slim-run", MODEL, "-p", "Hi", "-n", "2", "--backend", "reference", "--logits", "out"]}
        for name, words in commands.items():
            found = {}
            for isa, threads, _ in itertools.product(isas, (1, 2, 8), range(3)):
                result = run(self.folder, *words, "-q", "--threads", threads, env={"SLIM_ISA": isa})
                self.assertEqual(result.returncode, 0, result.stderr)
                found.setdefault(json.dumps(snapshot(self.folder / "out")), []).append((isa, threads))
                out = self.folder / "out"
                shutil.rmtree(out) if out.is_dir() else out.unlink()
            self.assertEqual(len(found), 1, f"{name}: {list(found.values())}")
            print(f"{name}: one digest of {sum(map(len, found.values()))} runs on {', '.join(isas)}")

    def test_random_layouts_come_back(self):
        """Files with tensors in any order of names and types: every tensor comes back with its bytes."""
        rng = random.Random(7)
        dtypes = ("F64", "I64", "F32", "I32", "BF16", "F16", "I8", "U8")
        model = self.model("model")
        tensors = read_safetensors(model / "model.safetensors")
        for number in range(200):
            extra = {}
            for _ in range(rng.randint(0, 8)):
                shape = [rng.randint(0, 5) for _ in range(rng.randint(0, 3))]
                count = 1
                for length in shape:
                    count *= length
                name = "".join(rng.choice("abz.\u00e9_") for _ in range(rng.randint(1, 9))) + ".buffer"
                extra[name] = tensor(rng.choice(dtypes), shape, [rng.randint(0, 100) for _ in range(count)])
            write_safetensors(model / "model.safetensors", {**tensors, **extra})
            with self.subTest(number=number):
                result = run(self.folder, "slim-convert", "model", "-o", "out", "--to", "hf", "-q", "--no-fsync")
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual(self.plain(self.folder / "out" / "model.safetensors"), self.plain(model / "model.safetensors"))
            shutil.rmtree(self.folder / "out", ignore_errors=True)

    @staticmethod
    def plain(path):
        return {name: (held.dtype, held.shape, held.data) for name, held in read_safetensors(path).items()}


class Memory(Folder):
    place = ROOT / "build" if LONG else MEMORY  # some GiB are for a disk

    def test_memory_is_bounded_by_the_largest_tensor(self):
        """A model many times the size of the limit: 2 x its largest tensor in fp32 + 256 MB. (Greedy text takes a whole model where it fits.)"""
        layers, wide = (48, 2048) if LONG else (24, 1024)
        model = self.model("model")
        config = json.loads((model / "config.json").read_text())
        kept = read_safetensors(model / "model.safetensors")
        hidden = config["hidden_size"]
        heads = {name: held for name, held in kept.items() if ".layers." not in name}
        block = random.Random(3).randbytes(1 << 20)
        block = bytes(byte if i % 2 == 0 else 0x3C for i, byte in enumerate(block))  # BF16 below 0.02

        def made(held):
            shape = [length if length == config["vocab_size"] else length * (wide // hidden) for length in held.shape]
            count = 2
            for length in shape:
                count *= length
            return Tensor(held.dtype, shape, (block * (count // len(block) + 1))[:count])

        tensors = {name: made(held) for name, held in heads.items()}
        layer = {name.replace("model.layers.0.", ""): made(held) for name, held in kept.items() if name.startswith("model.layers.0.")}
        for number in range(layers):
            tensors.update({f"model.layers.{number}.{name}": held for name, held in layer.items()})
        largest = max(len(held.data) for held in tensors.values())
        write_safetensors(model / "model.safetensors", tensors)
        size = (model / "model.safetensors").stat().st_size
        config.update(num_hidden_layers=layers, hidden_size=wide, intermediate_size=config["intermediate_size"] * (wide // hidden))
        for key in ("head_dim", "layer_types", "max_window_layers"):
            config.pop(key, None)
        (model / "config.json").write_text(json.dumps(config))
        limit = 2 * largest * 2 + (256 << 20)
        print(f"model {size >> 20} MiB, largest tensor {largest >> 20} MiB, limit {limit >> 20} MiB")
        (self.folder / "prompts.txt").write_text("The quick brown fox jumps over the lazy dog.")
        peaks = {}
        for threads in (1, 2, 8):
            for words in (["slim-verify", "--deep", "model"], ["slim-quant", "model", "-o", "quantized", "--type", "w8a16", "--no-fsync"],
                          ["slim-convert", "model", "-o", "out", "--to", "gguf", "--no-fsync"],
                          ["slim-diff", "model", "quantized", "--prompts", "prompts.txt", "--tokens", "8", "--windows", "1", "--metrics", "kl,ppl"]):
                with self.subTest(words=words, threads=threads):
                    run = run_measured([BIN / words[0], *words[1:], "-q", "--threads", str(threads)], cwd=self.folder, timeout=1800)
                    shutil.rmtree(self.folder / "out", ignore_errors=True)
                    self.assertIn(run.code, (0, 1) if "slim-verify" in words else (0,), run.error)
                    self.assertLessEqual(run.peak, limit, f"{words[0]}: {run.peak >> 20} MiB")
                    peaks[words[0]] = max(peaks.get(words[0], 0), run.peak >> 20)
            shutil.rmtree(self.folder / "quantized", ignore_errors=True)
        print("peaks in MiB: " + ", ".join(f"{tool} {peak}" for tool, peak in peaks.items()))


if __name__ == "__main__":
    unittest.main()
