#!/usr/bin/env python3
"""slim-convert --for on the altered checkpoints of loader_mutations.py: where slim-verify --deep --for finds an error, the repair is
clean by the same judge, or refused with a reason, and then nothing is written. What cannot be repaired is listed here with the rule
that says why; everything else must be repaired. Lossy repairs are refused without --allow-loss. Prints the counts."""

import collections
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import loader_truth_test as truth
from checkpoint_files import Checkpoint, tensor

LOADERS = ("mindie-atb", "vllm-ascend", "sglang")
# Information that is gone, or codes that the loader's arithmetic has no place for.
UNREPAIRABLE = {
    "truncated-shard": {"ST-truncated"},
    "broken-description-json": {"JSON-syntax", "JSON-type"},
    "no-description": {"LD-description"},
    "missing-deq-scale": {"LD-missing-tensor"},
    "missing-o-weight": {"CK-missing-tensor"},
    "missing-weight-scale": {"LD-missing-tensor"},
    "deq-scale-short": {"LD-shape"},
    "weight-scale-short": {"LD-shape"},
    "input-offset-out-of-range": {"LD-input-scale"},
    "extra-tensor": {"LD-unknown-tensor", "LD-unread-tensor"},
    "extra-linear-bias": {"LD-unknown-tensor", "LD-unread-tensor"},
    "nonzero-weight-offset": {"LD-offset"},
}
LOSSY = {"q-float-rest-quantized", "gate-float-up-quantized", "qkv-input-scale-differs", "lm-head-int8", "missing-quant-bias"}


def run(*arguments):
    return subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, timeout=600, check=False)


def errors_of(loader, paths):
    """The rules of each path's errors."""
    result = run(truth.BIN / "slim-verify", "--deep", "--json", "--for", loader, *paths)
    return [{report["error"]["rule"]} if "error" in report
            else {finding["rule"] for finding in report["findings"] if finding["severity"] == "error"}
            for report in json.loads(result.stdout)["reports"]]


class Repair(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name)

    def sources(self):
        for base in ("qwen2-bf16-static", "qwen2-bf16-dynamic"):
            for name in [*truth.ALTERATIONS, *truth.ON_DISK]:
                target = self.folder / f"{base}~{name}"
                try:
                    yield name, truth.altered(base, name, target)
                except (KeyError, StopIteration):
                    shutil.rmtree(target)

    def repair(self, loader, source):
        """The output (None when refused), the rule of the refusal, and whether it took --allow-loss."""
        output = self.folder / f"{source.name}~{loader}"
        command = [truth.BIN / "slim-convert", source, "-o", output, "--for", loader, "--threads", "1", "--no-fsync"]
        result = run(*command)
        lossy = result.returncode == 3 and "[CV-loss]" in result.stderr
        if lossy:
            self.assertFalse(output.exists())
            result = run(*command, "--allow-loss")
        if result.returncode == 0:
            return output, None, lossy
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertFalse(output.exists())
        message = [line for line in result.stderr.splitlines() if "error:" in line][-1]
        return None, message[message.rindex(" [") + 2:message.rindex("]")], lossy

    def check(self, loader, name, source, counts):
        output, rule, lossy = self.repair(loader, source)
        where = f"{loader} {source.name}"
        if output is None:
            self.assertIn(rule, UNREPAIRABLE.get(name, ()), where)
            counts["refused with a reason"] += 1
            return None
        if lossy:
            self.assertIn(name, LOSSY, where)
        counts["repaired, lossy" if lossy else "repaired, exactly"] += 1
        return output

    def test_every_flagged_cell(self):
        sources = list(self.sources())
        counts = collections.Counter()
        for loader in LOADERS:
            before = errors_of(loader, [path for _, path in sources])
            outputs = [self.check(loader, name, path, counts) for (name, path), rules in zip(sources, before) if rules]
            outputs = [output for output in outputs if output is not None]
            left = {output.name: rules for output, rules in zip(outputs, errors_of(loader, outputs)) if rules}
            self.assertEqual(left, {})
        print(", ".join(f"{kind}: {count}" for kind, count in sorted(counts.items())))

    def test_quantized_draft_layer_becomes_float(self):
        """A DeepSeek checkpoint whose draft (MTP) layer is int8, too: SGLang builds it float."""
        path = self.folder / "deepseek"
        result = run(truth.BIN / "slim-quant", truth.ROOT / "testdata" / "mixtures" / "deepseek-v3", "-o", path, "--type", "w8a8_dynamic",
                     "--smooth", "none", "--no-fsync")
        self.assertEqual(result.returncode, 0, result.stderr)
        checkpoint = Checkpoint(path)
        name = "model.layers.3.eh_proj"
        rows, columns = checkpoint.tensors[name + ".weight"].shape
        values = checkpoint.tensors[name + ".weight"].values()
        scales = [max(map(abs, values[i * columns:(i + 1) * columns])) / 127 for i in range(rows)]
        codes = [round(values[i * columns + j] / scales[i]) for i in range(rows) for j in range(columns)]
        checkpoint.tensors[name + ".weight"] = tensor("I8", [rows, columns], codes)
        checkpoint.tensors[name + ".weight_scale"] = tensor("F32", [rows, 1], scales)
        checkpoint.tensors[name + ".weight_offset"] = tensor("F32", [rows, 1], [0.0] * rows)
        checkpoint.description.update({f"{name}.{leaf}": "W8A8_DYNAMIC" for leaf in ("weight", "weight_scale", "weight_offset")})
        checkpoint.write()
        self.assertEqual(errors_of("sglang", [path]), [{"LD-draft-layer"}])
        output, _, lossy = self.repair("sglang", path)
        self.assertTrue(lossy)
        self.assertEqual(errors_of("sglang", [output]), [set()])
        self.assertEqual(Checkpoint(output).tensors[name + ".weight"].dtype, "BF16")


if __name__ == "__main__":
    unittest.main()
