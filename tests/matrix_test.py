#!/usr/bin/env python3
"""Walks the matrix that slim-convert --list --json prints and proves every cell with a checkpoint of its dialect: an exact one with a
way back gives tensors and description byte for byte after A to B to A, without the receipt; one without a way back loses nothing;
a lossy one is refused without --allow-loss, naming tensor and amount, or had nothing to lose with this checkpoint; one to float goes
with --dequantize; one that is not there names the nearest that is. Sources of the Ascend family are goldens of every type, those of
other ecosystems one small layer each. Prints the counts; a dialect that nothing here can make is a failure."""

import collections
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from checkpoint_files import read_safetensors, tensor, write_safetensors

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
GOLDEN = ROOT / "testdata" / "golden"
ONE_CLICK = GOLDEN / "one-click" / "mini-qwen2-bfloat16"
TRADITIONAL = GOLDEN / "traditional" / "mini-qwen2-bfloat16"
UNBIASED = GOLDEN / "one-click" / "mini-qwen3-float16" / "w8a8-dynamic"  # npy has one name for weight and bias
N, K = 64, 32
CONFIG = {"model_type": "other", "torch_dtype": "bfloat16"}


def convert(*arguments):
    return subprocess.run([str(argument) for argument in (BIN / "slim-convert", *arguments, "--no-fsync")], capture_output=True,
                          text=True, timeout=600, check=False)


def small(folder, tensors, block):
    folder.mkdir()
    write_safetensors(folder / "model.safetensors", {"model.norm.weight": tensor("BF16", [K], [1.0] * K), **tensors})
    (folder / "config.json").write_text(json.dumps({**CONFIG, "quantization_config": block}))
    return folder


def words(count, seed):
    return [(i * 2654435761 + seed) % (1 << 31) for i in range(count)]


def awq(folder):
    name = "model.layers.0.mlp.up_proj"
    return small(folder, {
        f"{name}.qweight": tensor("I32", [K, N // 8], words(K * N // 8, 1)),
        f"{name}.qzeros": tensor("I32", [1, N // 8], words(N // 8, 2)),
        f"{name}.scales": tensor("F16", [1, N], [0.01 + i / 4096 for i in range(N)]),
    }, {"quant_method": "awq", "bits": 4, "group_size": K, "version": "gemm"})


def fp8(folder):
    name = "model.layers.0.mlp.up_proj"
    codes = tensor("U8", [N, K], [i % 120 for i in range(N * K)])
    codes.dtype = "F8_E4M3"
    return small(folder, {f"{name}.weight": codes, f"{name}.weight_scale_inv": tensor("F32", [1, 1], [0.02])},
                 {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]})


def torch_bin(folder):
    folder.mkdir()
    shutil.copy(ROOT / "tests" / "fuzz" / "corpus" / "torch_file" / "views", folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps({"model_type": "other", "torch_dtype": "float32"}))
    return folder


def converted(to, source=ONE_CLICK / "w8a8-dynamic", options=()):
    def make(folder):
        result = convert(source, "-o", folder, "--to", to, *options)
        assert result.returncode == 0, result.stderr
        return folder
    return make


def goldens(*folders):
    return [lambda _, folder=folder: folder for folder in folders]


def sparse(folder):
    """W8A8S of the traditional writer, from the golden that it differs from; bfloat16."""
    delta = ROOT / "testdata" / "traditional-deltas" / "w8a8s"
    tensors = {**read_safetensors(TRADITIONAL / "a0-w8a8" / "quant_model_weight_w8a8.safetensors"), **read_safetensors(delta / "delta.safetensors")}
    labels = json.loads((delta / "description.json").read_text())
    folder.mkdir()
    write_safetensors(folder / "quant_model_weight_w8a8s.safetensors", {name: tensors[name] for name in labels if name in tensors})
    (folder / "quant_model_description.json").write_text(json.dumps({"version": "1.0.0", **labels}, indent=2))
    shutil.copy(TRADITIONAL / "a0-w8a8" / "config.json", folder)
    return folder


def parts(folder):
    if not folder.exists():
        converted("mindie-parts", sparse(folder.with_name(folder.name + "-source")), ("--tp", 2, "--dtype", "fp16", "--allow-loss"))(folder)
    return folder


def sparse_in(dialect):
    """Float16, as parts need it."""
    return lambda folder: converted(dialect, parts(folder.with_name("parts-for-" + dialect)))(folder)


SOURCES = {
    "hf": goldens(GOLDEN / "models" / "mini-qwen2-bfloat16"),
    "ascendv1": [*goldens(*(ONE_CLICK / name for name in ("w8a8-static", "w8a8-dynamic", "w8a16"))), *goldens(UNBIASED), sparse_in("ascendv1")],
    "ascendv1-v0": [*goldens(*(TRADITIONAL / name for name in ("a0-w8a8", "a0-w8a8-m4", "a0-w8a16-asym", "a0-w8a8-dynamic"))), converted("ascendv1-v0", UNBIASED), sparse_in("ascendv1-v0")],
    "mindie": [*goldens(*(TRADITIONAL / name for name in ("m0-w8a8", "m0-w8a8-m4", "m0-w8a16-asym", "m0-w8a8-dynamic"))), converted("mindie", UNBIASED), sparse_in("mindie")],
    "mindie-parts": [parts],
    "compressed-tensors": [converted("compressed-tensors")],
    "gptq": [converted("gptq", ONE_CLICK / "w8a16", ("--allow-loss",))],
    "awq": [awq],
    "gguf": [converted("gguf", GOLDEN / "models" / "mini-qwen2-bfloat16")],
    "torch-bin": [torch_bin],
    "npy": [converted("npy", UNBIASED)],
    "fp8-block": [fp8],
    "golden-stick": goldens(*(ROOT / "testdata" / "foreign" / "golden-stick" / name for name in ("mini-qwen2-a8w8-smooth", "mini-qwen3-a16w8"))),
}


def contents(folder):
    """Tensors by name and the description's text, whatever the names of the files."""
    tensors, description = {}, ""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".safetensors":
            for name, held in read_safetensors(path).items():
                tensors[f"{path.parent.relative_to(folder)}/{name}"] = (held.dtype, held.shape, held.data)
        elif path.suffix in (".gguf", ".npy"):
            tensors[path.name] = path.read_bytes()
        elif "description" in path.name and path.suffix == ".json":
            description += path.read_text()
    return tensors, description


class Matrix(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name)
        self.counts = collections.Counter()
        self.matrix = json.loads(convert("--list", "--json").stdout)
        self.cells = {(cell["from"], cell["to"]): cell["loss_class"] for cell in self.matrix["edges"]}
        self.made = {}

    def sources(self, dialect):
        if dialect not in self.made:
            self.made[dialect] = [make(self.folder / f"{dialect}-{i}") for i, make in enumerate(SOURCES.get(dialect, []))]
        return self.made[dialect]

    def options(self, source, target):
        options = ["--to", target]
        foreign = source not in ("hf", "ascendv1", "ascendv1-v0", "mindie")
        if target == "hf" and foreign:
            options.append("--dequantize")
        if target == "mindie-parts":
            options += ["--tp", "2"]
        return options

    def refused_for_type(self, result):
        """The cell is there, and not for the type of this checkpoint."""
        return result.returncode == 3 and any(f"[{rule}]" in result.stderr for rule in (
            "CV-scheme", "CV-float-dialect", "CV-weight-offset", "CV-bf16", "CV-norm-bias", "CV-npy-bias"))

    def prove(self, source, target, loss, path):
        output = self.folder / "out"
        result = convert(path, "-o", output, *self.options(source, target))
        where = f"{source} to {target}, {loss}, {path}: {result.stderr}"
        if self.refused_for_type(result):
            self.assertFalse(output.exists(), where)
            return False
        if result.returncode == 3 and loss != "exact":
            self.assertRegex(result.stderr, r"tensor '[^']+': loses precision \(.*(relative error [0-9.e+-]+|SQNR [0-9.]+ dB).*\[CV-loss\]", where)
            self.assertFalse(output.exists(), where)
            result = convert(path, "-o", output, *self.options(source, target), "--allow-loss")
            self.counts["lossy: refused without --allow-loss, and how much"] += 1
        self.assertEqual(result.returncode, 0, where)
        receipt = json.loads((output / "slim_receipt.json").read_text())
        if loss == "exact":
            self.assertEqual(receipt["loss_class"], "exact", where)
            self.there_and_back(source, target, path, output, where)
        shutil.rmtree(output)
        return True

    def there_and_back(self, source, target, path, output, where):
        if self.cells.get((target, source)) != "exact":
            self.counts["exact, no way back: nothing lost"] += 1
            return
        (output / "slim_receipt.json").unlink()
        back = self.folder / "back"
        result = convert(output, "-o", back, *self.options(target, source))
        self.assertEqual(result.returncode, 0, where + result.stderr)
        after, before = contents(back), contents(path)
        if (source, target) == ("mindie-parts", "mindie"):  # mindie has no version, and parts of it have none
            after, before = after[0], before[0]
        self.assertTrue(after == before, where)
        shutil.rmtree(back)
        self.counts["exact, there and back: equal"] += 1

    def test_every_cell(self):
        for (source, target), loss in self.cells.items():
            sources = self.sources(source)
            self.assertTrue(sources, f"no checkpoint of {source}: add one to SOURCES")
            proved = [self.prove(source, target, loss, path) for path in sources]
            self.assertTrue(any(proved) or (target == "hf" and source != "hf"), f"{source} to {target}: nothing took it")
        print(", ".join(f"{kind}: {count}" for kind, count in sorted(self.counts.items())))

    def test_cells_that_are_not_there(self):
        names = [dialect["name"] for dialect in self.matrix["dialects"]]
        absent = 0
        for source in names:
            for target in names:
                if (source, target) in self.cells or not self.sources(source):
                    continue
                result = convert(self.sources(source)[0], "-o", self.folder / "out", *self.options(source, target))
                self.assertEqual(result.returncode, 3, f"{source} to {target}: {result.stderr}")
                self.assertRegex(result.stderr, r"no conversion leads from .* \[CV-no-edge\]; (nearest: |from .* there are )", f"{source} to {target}")
                absent += 1
        print(f"cells that are not there, refused by name: {absent}")


if __name__ == "__main__":
    unittest.main()
