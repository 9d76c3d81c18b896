#!/usr/bin/env python3
"""What users of the loaders met (facts: consumers.md 11; one row a line of that table that an offline check can catch): a shipped
checkpoint altered in the same way, the profile it was started with, and the rule that must say so. Prints how many are caught."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from checkpoint_files import Checkpoint, Tensor, copy_of, tensor, write_safetensors  # noqa: E402
from loader_mutations import ALTERATIONS, GATE, add_linear, old_name, relabel, set_global  # noqa: E402

GOLDEN = ROOT / "testdata" / "golden"
BIN = pathlib.Path(os.environ.get("SLIM_BIN", ROOT / "build" / "release" / "bin"))
STATIC = GOLDEN / "one-click" / "mini-qwen2-bfloat16" / "w8a8-static-all"
DYNAMIC = GOLDEN / "one-click" / "mini-qwen2-bfloat16" / "w8a8-dynamic"
DYNAMIC_FP16 = GOLDEN / "one-click" / "mini-qwen3-float16" / "w8a8-dynamic"
W8A16 = GOLDEN / "one-click" / "mini-qwen2-bfloat16" / "w8a16"
MINDIE_FP16 = GOLDEN / "one-click" / "mini-qwen3-float16" / "mindie-w8a8-static"
FLOAT = GOLDEN / "models" / "mini-qwen2-bfloat16"
EXPERT = "model.layers.0.mlp.experts"
DRAFT = "model.layers.2"


def config(**values):
    return lambda c: c.config.update(values)


def both(*changes):
    def change(c):
        for one in changes:
            one(c)
    return change


def model(name, *modules, label="W8A8_DYNAMIC"):
    """A checkpoint of another family: its model_type, and quantized modules with its names."""
    return both(config(model_type=name), *[lambda c, m=m: add_linear(c, m, label) for m in modules])


def experts(model_type, label="W8A8_DYNAMIC"):
    return model(model_type, *[f"{EXPERT}.{e}.{leaf}_proj" for e in range(2) for leaf in ("gate", "up", "down")], label=label)


def without_entries(prefix):
    def change(c):
        for key in [key for key in c.description if key.startswith(prefix)]:
            del c.description[key]
    return change


def prefixed(c):
    """The weights of a multimodal wrapper with the description of its text model."""
    c.config["model_type"] = "kimi_k25"
    c.tensors = {f"language_model.{name}": held for name, held in c.tensors.items()}


def head_of_wrapper(c):
    c.config["model_type"] = "qwen3_vl"
    c.description["language_model.lm_head.weight"] = c.description.pop("lm_head.weight")


def draft_entry_without_tensors(c):
    c.description[f"{DRAFT}.eh_proj.weight"] = "FLOAT"


def w4a8_linears(c):
    relabel(c, "W4A8_DYNAMIC")
    c.description["group_size"] = 256


def mindie_export(c):
    """As 'model_type' deepseekv2 and a description named after the type leave the writer."""
    c.config["model_type"] = "deepseekv2"
    os.rename(c.folder / c.described, old_name(c))
    c.described = old_name(c).name


def kv_cache(c):
    for layer in range(2):
        for leaf in ("k_proj", "v_proj"):
            name = f"model.layers.{layer}.self_attn.{leaf}.kv_cache"
            c.tensors[f"{name}_scale"] = tensor("F32", [32], [0.5] * 32)
            c.tensors[f"{name}_offset"] = tensor("F32", [32], [0.0] * 32)
            c.description.update({f"{name}_scale": "C8", f"{name}_offset": "C8"})
    c.description.update(kv_cache_type="C8", kv_quant_type="C8")


def rotation_file(c):
    c.description["optional"] = {"quarot": {"rotation_map": {"global_rotation": "optional/quarot.safetensors"}}}


def zeroed_scale(c):
    name = GATE + ".weight_scale"
    held = c.tensors[name]
    c.tensors[name] = Tensor(held.dtype, held.shape, bytes(len(held.data)))


def missing_shard(c):
    """An index that names a second shard, which was not downloaded."""
    index = c.folder / "quant_model_weights.safetensors.index.json"
    document = json.loads(index.read_text())
    document["weight_map"]["model.norm.weight"] = "quant_model_weights-00002-of-00002.safetensors"
    index.write_text(json.dumps(document))
    write_safetensors(c.folder / c.weights, {name: held for name, held in c.tensors.items() if name != "model.norm.weight"})
    c.tensors.pop("model.norm.weight")


def fp8_blocks(rows):
    """The float model as DeepSeek publishes it: q_a and kv_a of `rows` rows, blocks of 128."""
    def change(c):
        c.config.update(model_type="deepseek_v3", quantization_config={"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
                                                                       "weight_block_size": [128, 128]})
        for leaf, n in (("q_a_proj", 256), ("kv_a_proj_with_mqa", rows)):
            name = f"model.layers.0.self_attn.{leaf}"
            c.tensors[name + ".weight"] = Tensor("F8_E4M3", [n, 128], b"\x38" * (n * 128))
            c.tensors[name + ".weight_scale_inv"] = tensor("F32", [-(-n // 128), 1], [0.5] * -(-n // 128))
    return change


def foreign(method):
    return config(quantization_config={"quant_method": method, "bits": 4, "w_bit": 4, "version": "gemm",
                                       "config_groups": {"0": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "int"}}}})


def parts_of_wrong_family(c):
    relabel(c, "W8A8SC")


SOUND = ALTERATIONS["base"]
# (threads, base, alteration, --for and its fellows, the rules one of which must be found)
ROWS = [
    ("vllm-ascend #3177 #5812 #5813", STATIC, SOUND, "vllm-ascend@0.11", "LD-launch"),
    ("gpustack #3887", STATIC, SOUND, "vllm-ascend@0.11", "LD-launch"),
    ("vllm-ascend #902", STATIC, SOUND, "vllm-ascend@0.8", "LD-description"),
    ("vllm-ascend #6645 #6873 #7111 #15425", STATIC, SOUND, "vllm-ascend@0.15", "LD-launch"),
    ("vllm-ascend #569 #876 #619 #580 #856 #3520", STATIC, ALTERATIONS["no-description"], "vllm-ascend", "LD-description"),
    ("vllm-ascend #813 #986 #754", DYNAMIC, both(experts("qwen3_moe"), ALTERATIONS["no-description"]), "vllm-ascend", "LD-description"),
    ("vllm-ascend #633", STATIC, SOUND, "vllm-ascend@0.7", "LD-description"),
    ("vllm-ascend #3534 #4835 #6484 #4313 #3464 #485 #119", FLOAT, fp8_blocks(128), "vllm-ascend", "LD-foreign-format"),
    ("vllm-ascend #7350", DYNAMIC, prefixed, "vllm-ascend", "LD-missing-entry"),
    ("vllm-ascend #8367", DYNAMIC, head_of_wrapper, "vllm-ascend@0.11", "LD-missing-entry"),
    ("vllm-ascend #7538 #4293 #4292 #7042", DYNAMIC, model("qwen2_5_vl", "visual.merger.mlp.0"), "vllm-ascend", "LD-known-limit"),
    ("vllm-ascend #10610 #12901", DYNAMIC, model("glm_moe_dsa"), "vllm-ascend", "LD-known-limit"),
    ("vllm-ascend #4035 #4797", DYNAMIC, experts("ernie4_5_moe"), "vllm-ascend", "LD-model-type"),
    ("vllm-ascend #5794", DYNAMIC, both(model("glm4_moe", f"{DRAFT}.self_attn.q_proj"), without_entries(DRAFT)), "vllm-ascend",
     "LD-missing-entry"),
    ("vllm-ascend #4093", DYNAMIC, draft_entry_without_tensors, "", "DE-missing-tensor"),
    ("vllm-ascend #2771 #7177", STATIC, model("deepseek_v3", f"{DRAFT}.self_attn.q_a_proj", label="W8A8"), "vllm-ascend --chip A3",
     "LD-draft-layer"),
    ("vllm-ascend #1994 #1990", STATIC, model("deepseek_v3", f"{DRAFT}.shared_head.head", label="W8A8"), "vllm-ascend --chip A3",
     "LD-draft-layer"),
    ("vllm-ascend #2588", STATIC, ALTERATIONS["q-float-rest-quantized"], "vllm-ascend", "LD-mixed-group"),
    ("vllm-ascend #11575", DYNAMIC, model("gemma4"), "vllm-ascend", "LD-known-limit"),
    ("vllm-ascend #7443 #12907", DYNAMIC_FP16, SOUND, "vllm-ascend --chip A2", "LD-chip"),
    ("vllm-ascend #624", STATIC, ALTERATIONS["torch-dtype-switched"], "vllm-ascend", "LD-deq-flavour"),
    ("vllm-ascend #5603 #10834", DYNAMIC, w4a8_linears, "vllm-ascend@0.11 --chip A2", "LD-group-size"),
    ("vllm-ascend #3588", DYNAMIC, w4a8_linears, "vllm-ascend", "LD-type"),
    ("vllm-ascend #6481", DYNAMIC, lambda c: relabel(c, "W4A16"), "vllm-ascend", "LD-type"),
    ("vllm-ascend #2265 #4267", W8A16, SOUND, "vllm-ascend@0.9", "LD-type"),
    ("vllm-ascend #2296 #1270 #2172", DYNAMIC, mindie_export, "vllm-ascend", "LD-description"),
    ("vllm-ascend #7088 #7090", DYNAMIC, experts("qwen3_moe", "W4A8_DYNAMIC"), "vllm-ascend", "LD-known-limit"),
    ("vllm-ascend #2144 #4218 #7474", STATIC, kv_cache, "vllm-ascend@0.11", "LD-kv-cache"),
    ("vllm-ascend #5974 #6445 #6914 #7038, vllm #36223", DYNAMIC, rotation_file, "vllm-ascend", "LD-side-file"),
    ("vllm-ascend #8401", DYNAMIC, ALTERATIONS["extra-tensor"], "vllm-ascend", "LD-unknown-tensor"),
    ("vllm-ascend #3465 #5930 #6140 #4589", DYNAMIC, both(ALTERATIONS["norm-bias"], ALTERATIONS["extra-linear-bias"]), "vllm-ascend",
     "LD-unread-tensor"),
    ("vllm-ascend #2318", DYNAMIC, ALTERATIONS["extra-linear-bias"], "vllm-ascend", "LD-unread-tensor"),
    ("vllm-ascend #6980", DYNAMIC, zeroed_scale, "", "VAL-scale-not-positive"),
    ("vllm-ascend #9894", STATIC, ALTERATIONS["quantization-config-fp8-left"], "vllm-ascend", "LD-quantization-config"),
    ("vllm-ascend #1997", STATIC, ALTERATIONS["quantization-config-fp8-left"], "", "CF-leftover-quantization-config"),
    ("vllm-ascend #5006", FLOAT, lambda c: c.tensors.pop("model.norm.weight"), "", "MODEL-missing-tensor"),
    ("vllm-ascend #5207 #619", DYNAMIC, config(auto_map={"AutoConfig": "configuration_deepseek.DeepseekV3Config"}), "vllm-ascend",
     "LD-side-file"),
    ("vllm-ascend #6931", DYNAMIC, config(model_type="deepseekv2"), "vllm-ascend", "LD-model-type"),
    ("vllm-ascend #11368 #11406", STATIC, parts_of_wrong_family, "vllm-ascend", "LD-type"),
    ("vllm-ascend #1736", STATIC, SOUND, "vllm-ascend@0.9 --chip 300I", "LD-chip"),
    ("vllm-ascend #14396", DYNAMIC, SOUND, "vllm-ascend --tp 16", "LD-parallel"),
    ("vllm-ascend #4548", DYNAMIC, model("qwen2_5_vl", "visual.blocks.0.mlp.gate_proj"), "vllm-ascend", "LD-known-limit"),
    ("vllm-ascend #2930 #14669", DYNAMIC, model("internvl_chat", "vision_tower.layers.0.fc1"), "vllm-ascend", "LD-known-limit"),
    ("vllm-ascend #15346", FLOAT, fp8_blocks(64), "vllm-ascend", "FP8-fused-block"),
    ("vllm-ascend #11216", DYNAMIC, lambda c: relabel(c, "W8A8_MXFP8"), "vllm-ascend --chip A2", "LD-chip"),
    ("vllm #34859 #34930 #38336 #41811", STATIC, missing_shard, "", "IX-missing-shard"),
    ("gpustack #3295", STATIC, set_global(group_size=-1), "mindie-atb@2.1", "LD-group-size"),
    ("gpustack #3365", MINDIE_FP16, SOUND, "vllm-ascend", "LD-description"),
    ("sglang #36423 #36426", DYNAMIC, model("qwen3_next", "model.layers.0.linear_attn.in_proj_qkvz"), "sglang", "LD-known-limit"),
    ("sglang #37755", DYNAMIC, model("mimo_v2", "model.layers.0.self_attn.qkv_proj"), "sglang", "LD-known-limit"),
    ("sglang #37736 #34353", DYNAMIC, model("glm4_moe", f"{DRAFT}.self_attn.q_proj"), "sglang", "LD-draft-layer"),
    ("sglang #19472", DYNAMIC, model("qwen3_5"), "sglang", "LD-known-limit"),
    ("sglang #9453 #14747", FLOAT, foreign("compressed-tensors"), "sglang", "LD-foreign-format"),
]


class Threads(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name)

    def findings(self, number, base, change, profile):
        folder = copy_of(base, self.folder / str(number))
        checkpoint = Checkpoint(folder)
        change(checkpoint)
        checkpoint.write()
        arguments = ["--for", *profile.split()] if profile else []
        result = subprocess.run([BIN / "slim-verify", "--deep", "--json", *arguments, folder], capture_output=True, text=True,
                                timeout=60, check=False)
        report, = json.loads(result.stdout)["reports"]
        return report.get("findings", [report.get("error")])

    def test_every_row_is_caught(self):
        missed = []
        for number, (threads, base, change, profile, rule) in enumerate(ROWS):
            found = self.findings(number, base, change, profile)
            loader = profile.split()[0] if rule.startswith("LD-") else ""
            caught = [finding for finding in found if finding["rule"] == rule and
                      (not loader or finding.get("loader", "").split("@")[0] == loader.split("@")[0])]
            if not caught:
                missed.append(f"{threads}: wanted {rule} for {profile or 'anybody'}, found {sorted({f['rule'] for f in found})}")
        print(f"{len(ROWS) - len(missed)} of {len(ROWS)} rows of the user threads are caught")
        self.assertEqual(missed, [])

    def test_the_bases_are_silent(self):
        """No row is caught because its rule always fires: the base under that loader's newest release has no such finding."""
        for threads, base, change, profile, rule in ROWS:
            if change is SOUND:
                continue  # the profile is what differs
            plain = profile.split("@")[0].split()[0] if profile else ""
            found = {finding["rule"] for finding in self.findings(threads[:24].replace("/", ""), base, SOUND, plain)}
            self.assertNotIn(rule, found, threads)


if __name__ == "__main__":
    unittest.main()
