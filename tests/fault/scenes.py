"""Command lines that write, one for every kind of output there is, and faults.c to make their calls fail.

SLIM_LONG=1 (check.sh --long) tries every number of a call instead of some spread over the run.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import sparse_checkpoint  # noqa: E402

GOLDEN = ROOT / "testdata" / "golden"
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
LONG = bool(os.environ.get("SLIM_LONG"))
MODEL = GOLDEN / "models" / "mini-qwen2-bfloat16"
PREPARED = {
    "weightonly": ["slim-quant", "float", "-o", "weightonly", "--type", "w8a16"],
    "dynamic": ["slim-quant", "unbiased", "-o", "dynamic", "--type", "w8a8_dynamic", "--smooth", "none"],
    "one": ["slim-quant", "float", "-o", "one", "--type", "w8a16", "--shard", "1/2"],
    "two": ["slim-quant", "float", "-o", "two", "--type", "w8a16", "--shard", "2/2"],
}


class Scene:
    """`words` write `outputs`, each a file or a directory that must be whole or absent."""

    def __init__(self, name, words, outputs=("out",), judges=False):
        self.name, self.words, self.outputs = name, [*words, "--threads", "1"], outputs
        self.judges = judges  # writes its report of a checkpoint that it could not read, too

    def __str__(self):
        return self.name


SCENES = [
    Scene("quant", ["slim-quant", "float", "-o", "out", "--type", "w8a16"]),
    Scene("quant, calibrated, with a report", ["slim-quant", "float", "-o", "out", "--calib", "calib.jsonl", "--report", "report.html"],
          ("out", "report.html")),
    Scene("quant, a shard", ["slim-quant", "float", "-o", "out", "--type", "w8a16", "--shard", "1/2"]),
    Scene("quant merge", ["slim-quant", "merge", "out", "one", "two"]),
    Scene("convert to mindie", ["slim-convert", "weightonly", "-o", "out", "--to", "mindie"]),
    Scene("convert to parts", ["slim-convert", "sparse", "-o", "out", "--to", "mindie-parts", "--tp", "2", "--dtype", "fp16", "--allow-loss"]),
    Scene("convert to gguf", ["slim-convert", "float", "-o", "out", "--to", "gguf"]),
    Scene("convert to npy", ["slim-convert", "dynamic", "-o", "out", "--to", "npy"]),
    Scene("dequantize", ["slim-convert", "weightonly", "-o", "out", "--dequantize", "--part-size", "100KB"]),
    Scene("manifest", ["slim-verify", "--manifest", "write", "weightonly"], ("weightonly/slim_manifest.json",)),
    Scene("verify report", ["slim-verify", "--deep", "--format", "html", "-o", "report.html", "weightonly"], ("report.html",), judges=True),
    Scene("baseline", ["slim-verify", "--write-baseline", "baseline.json", "weightonly"], ("baseline.json",)),
    Scene("diff report", ["slim-diff", "float", "weightonly", "--prompts", "prompts.txt", "--tokens", "16", "-o", "report.html"],
          ("report.html",)),
    Scene("logits", ["slim-run", "float", "-p", "Hi", "-n", "1", "--logits", "logits.safetensors"], ("logits.safetensors",)),
    Scene("layers", ["slim-run", "float", "-p", "Hi", "-n", "1", "--dump-layers", "out"]),
]


def snapshot(path):
    """Every file below a path with its digest; None where there is nothing."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    if not path.is_dir():
        return None
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(path.rglob("*")) if file.is_file()}


class Stage:
    """A folder in which the scenes play."""

    def __init__(self):
        # In memory where that can be had: thousands of flushes of a disk would take the time of the tests.
        self.scratch = tempfile.TemporaryDirectory(prefix="slim-fault-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.folder = pathlib.Path(self.scratch.name)
        self.library = self.folder / "faults.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self.library, ROOT / "tests" / "fault" / "faults.c", "-ldl"], check=True)
        shutil.copytree(MODEL, self.folder / "float")
        shutil.copytree(GOLDEN / "models" / "mini-qwen3-float16", self.folder / "unbiased")
        shutil.copyfile(GOLDEN / "calib.jsonl", self.folder / "calib.jsonl")
        (self.folder / "prompts.txt").write_text("The quick brown fox jumps over the lazy dog again and again.")
        sparse_checkpoint.make(self.folder / "sparse")
        for words in PREPARED.values():
            result = self.run(words)
            assert result.returncode == 0, result.stderr
        self.inputs = self.state()
        self.names = {path.name for path in self.folder.iterdir()}
        self.wanted, self.counts = {}, {}
        for scene in SCENES:
            result, _ = self.play(scene)
            assert result.returncode == 0, f"{scene}: {result.stderr}"
            self.wanted[scene] = {name: snapshot(self.folder / name) for name in scene.outputs}
            self.counts[scene] = self.counted
            self.clear(scene)

    def close(self):
        self.scratch.cleanup()

    def run(self, words, **options):
        return subprocess.run([BIN / words[0], *words[1:]], cwd=self.folder, capture_output=True, text=True, errors="backslashreplace",
                              timeout=120, check=False, **options)

    def play(self, scene, fault=None, extra=()):
        """(result, whether the fault came about)"""
        log = self.folder / "counts"
        log.unlink(missing_ok=True)
        environment = dict(os.environ, LD_PRELOAD=str(self.library), SLIM_FAULT_COUNTS=str(log))
        if fault:
            environment["SLIM_FAULT"] = fault
        result = self.run([*scene.words, *extra], env=environment)
        lines = log.read_text().splitlines()
        log.unlink()
        self.counted = {line.split()[0]: int(line.split()[1]) for line in lines if " " in line}
        return result, "fault" in lines

    def state(self):
        """What changes with every change of the inputs, without reading them."""
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns, path.stat().st_mode)
                for path in sorted(self.folder.rglob("*"))
                if path.is_file() and path.name not in ("slim_manifest.json", "counts", "faults.so") and not path.name.startswith(".")
                and path.relative_to(self.folder).parts[0] in ("float", "unbiased", "sparse", "calib.jsonl", "prompts.txt", *PREPARED)}

    def clear(self, scene):
        for name in scene.outputs:
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        # The digests that a stopped manifest run keeps for the next one are no leftover, but would change what it does.
        for path in [*self.left(), *self.folder.glob("*/.*")]:
            if not path.exists():
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def left(self):
        """What lies about besides inputs and outputs."""
        known = self.names | {"out", "report.html", "baseline.json", "logits.safetensors"}
        return [path for path in self.folder.iterdir() if path.name not in known] + list(self.folder.glob("*/.*.slim-partial"))

    def numbers(self, count, some=4):
        """Which calls of `count` to hit: all, or `some` spread over the run, the first and the last among them."""
        if LONG or count <= some:
            return list(range(1, count + 1))
        return sorted({1 + (count - 1) * i // (some - 1) for i in range(some)})
