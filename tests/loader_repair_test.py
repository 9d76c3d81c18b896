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

    def quantized(self, source, name, *arguments):
        path = self.folder / name
        result = run(truth.BIN / "slim-quant", truth.ROOT / "testdata" / source, "-o", path, "--smooth", "none", "--no-fsync", *arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return Checkpoint(path)

    def repaired(self, loader, checkpoint, errors, lossy):
        """Of an altered checkpoint that has these errors; clean by the same judge."""
        checkpoint.write()
        self.assertEqual(errors_of(loader, [checkpoint.folder]), [errors])
        output, rule, took_loss = self.repair(loader, checkpoint.folder)
        self.assertIsNotNone(output, rule)
        self.assertEqual(took_loss, lossy)
        self.assertEqual(errors_of(loader, [output]), [set()])
        return Checkpoint(output)

    def assert_near(self, found, wanted, relative):
        self.assertEqual(len(found), len(wanted))
        for a, b in zip(found, wanted):
            self.assertLessEqual(abs(a - b), relative * abs(b) + 1e-30)

    def test_mix_without_scales_of_its_dynamic_branch(self):
        checkpoint = self.quantized("models/tiny-qwen2", "mix", "--type", "w8a8_mix", "--calib", truth.ROOT / "testdata/golden/calib.jsonl")
        lost = {name: held for name, held in checkpoint.tensors.items()
                if name.endswith((".weight_scale", ".weight_offset")) and checkpoint.description[name] == "W8A8_MIX"}
        self.assertTrue(lost)
        for name in lost:
            del checkpoint.tensors[name], checkpoint.description[name]
        repaired = self.repaired("vllm-ascend", checkpoint, {"LD-missing-tensor"}, lossy=False)
        for name, held in lost.items():
            self.assertEqual(repaired.tensors[name].shape, held.shape)
            self.assert_near(repaired.tensors[name].values(), held.values(), 2 ** -7)  # deq_scale is rounded to bfloat16

    def mixture(self, name):
        """Int8 attention and int4 experts, which vllm-ascend's main branch takes."""
        checkpoint = self.quantized("mixtures/qwen3-moe", name, "--type", "w8a8_dynamic")
        int4 = self.quantized("mixtures/qwen3-moe", name + "-int4", "--type", "w4a8")
        for held in (checkpoint.tensors, checkpoint.description):
            for key in [key for key in held if ".experts." in key]:
                del held[key]
        checkpoint.tensors.update({key: held for key, held in int4.tensors.items() if ".experts." in key})
        checkpoint.description.update({key: label for key, label in int4.description.items() if ".experts." in key})
        checkpoint.description["model_quant_type"] = "W4A8_DYNAMIC"
        return checkpoint

    def test_int4_experts_without_scale_bias(self):
        checkpoint = self.mixture("biased")
        lost = {name: held for name, held in checkpoint.tensors.items() if name.endswith(".scale_bias")}
        self.assertTrue(lost)
        for name in lost:
            del checkpoint.tensors[name], checkpoint.description[name]
        repaired = self.repaired("vllm-ascend@main", checkpoint, {"LD-missing-tensor"}, lossy=False)
        for name, held in lost.items():
            self.assertEqual(repaired.tensors[name].shape, held.shape)
            scale = checkpoint.tensors[name.replace("scale_bias", "weight_scale")].values()
            columns = held.shape[1]
            for at, (found, wanted) in enumerate(zip(repaired.tensors[name].values(), held.values())):
                self.assertLessEqual(abs(found - wanted), 1e-3 * scale[at // columns])

    def test_int4_experts_with_scales_of_groups(self):
        checkpoint = self.mixture("grouped")
        rows_of = {}
        for name in [name for name in checkpoint.tensors if ".experts." in name and name.endswith(".weight")]:
            module = name.removesuffix(".weight")
            packed = checkpoint.tensors[name]
            columns = packed.shape[1]
            for leaf in ("weight_scale_second", "weight_offset_second"):
                values = [1.0 - 0.25 * (column % 2) if "scale" in leaf else 0.0 for _ in range(2 * packed.shape[0]) for column in range(2)]
                checkpoint.tensors[f"{module}.{leaf}"] = tensor("F32", [2 * packed.shape[0], 2], values)
                checkpoint.description[f"{module}.{leaf}"] = "W4A8_DYNAMIC"
            rows_of[module] = int4_rows(checkpoint, module, lambda column, k: 1.0 - 0.25 * (column >= k // 2))
            del checkpoint.tensors[f"{module}.scale_bias"], checkpoint.description[f"{module}.scale_bias"]
        checkpoint.description["group_size"] = columns // 2
        checkpoint.write()
        self.assertIn("LD-group-size", errors_of("vllm-ascend@main", [checkpoint.folder])[0])
        output, rule, lossy = self.repair("vllm-ascend@main", checkpoint.folder)
        self.assertTrue(lossy, rule)
        self.assertEqual(errors_of("vllm-ascend@main", [output]), [set()])
        repaired = Checkpoint(output)
        self.assertEqual(repaired.description["group_size"], 0)
        self.assertFalse([name for name in repaired.tensors if name.endswith("_second")])
        for module, rows in rows_of.items():
            for row, wanted in zip(int4_rows(repaired, module, lambda column, k: 1.0), rows):
                step = max(map(abs, wanted)) / 7
                self.assertLessEqual(max(abs(a - b) for a, b in zip(row, wanted)), 0.51 * step + 1e-30)
        receipt = json.loads((output / "slim_receipt.json").read_text())
        self.assertEqual(receipt["loss_class"], "requantized")
        self.assertGreater(receipt["loss"]["lowest_weight_sqnr_db"], 15)

    def test_cache_with_offsets(self):
        checkpoint = self.quantized("models/tiny-qwen2", "cache", "--type", "w8a8c8", "--calib",
                                    truth.ROOT / "testdata/golden/calib.jsonl")
        before = {}
        for name in [name for name in checkpoint.tensors if name.endswith(".kv_cache_offset")]:
            held = checkpoint.tensors[name]
            count = len(held.values())
            checkpoint.tensors[name] = tensor(held.dtype, held.shape, [float(at % 3 * 20 - 20) for at in range(count)])
            scale = checkpoint.tensors[name.replace("offset", "scale")].values()
            before[name] = [((-128 - offset) * step, (127 - offset) * step)
                            for offset, step in zip(checkpoint.tensors[name].values(), scale)]
        repaired = self.repaired("vllm-ascend", checkpoint, {"LD-offset"}, lossy=True)
        for name, ranges in before.items():
            self.assertEqual(set(repaired.tensors[name].values()), {0.0})
            for (low, high), step in zip(ranges, repaired.tensors[name.replace("offset", "scale")].values()):
                self.assertLess(abs(step * 127 - max(-low, high)), 0.01 * max(-low, high))

    def test_what_the_loader_refuses_after_a_conversion_is_repaired_in_a_second_step(self):
        """compressed-tensors whose q_proj stayed float: as ascendv1 a fused group of two types."""
        source = self.folder / "packed"
        result = run(truth.BIN / "slim-convert", truth.ROOT / "testdata/golden/one-click/mini-qwen3-float16/w8a8-dynamic", "-o", source,
                     "--to", "compressed-tensors", "--no-fsync")
        self.assertEqual(result.returncode, 0, result.stderr)
        checkpoint = Checkpoint(source)
        module = "model.layers.0.self_attn.q_proj"
        checkpoint.dequantize(module, described=False)
        checkpoint.config["quantization_config"]["ignore"].append(module)
        checkpoint.write()
        output, rule, lossy = self.repair("vllm-ascend", source)
        self.assertTrue(lossy, rule)
        self.assertEqual(errors_of("vllm-ascend", [output]), [set()])
        repaired = Checkpoint(output)
        for leaf in ("q_proj", "k_proj", "v_proj"):
            self.assertEqual(repaired.description[f"model.layers.0.self_attn.{leaf}.weight"], "FLOAT")
        self.assertEqual(repaired.description["model.layers.1.self_attn.q_proj.weight"], "W8A8_DYNAMIC")
        receipt = json.loads((output / "slim_receipt.json").read_text())
        self.assertEqual(receipt["configuration"]["from"], "compressed-tensors")
        self.assertEqual([path.name for path in self.folder.iterdir() if "unrepaired" in path.name or "partial" in path.name], [])


def int4_rows(checkpoint, module, factor):
    """Rows of an int4 weight, two rows a byte, the even one in the low nibble; `factor` of a column beside weight_scale."""
    packed = checkpoint.tensors[f"{module}.weight"]
    scales = checkpoint.tensors[f"{module}.weight_scale"].values()
    k = packed.shape[1]
    values = packed.values()

    def code(row, column):
        nibble = (values[row // 2 * k + column] & 0xFF) >> 4 * (row % 2) & 15
        return nibble - 16 * (nibble > 7)
    return [[code(row, column) * scales[row] * factor(column, k) for column in range(k)] for row in range(2 * packed.shape[0])]


if __name__ == "__main__":
    unittest.main()
