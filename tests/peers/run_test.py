#!/usr/bin/env python3
"""Holds slim-run against transformers on small random models of every architecture and rotary scaling, and against the
judge of quantized checkpoints (../shared/judge/emulate.py beside the checkout, not on a user's machine: skipped there)."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import jsonschema
import numpy
import torch
from safetensors.numpy import load_file
from safetensors.torch import load_file as torch_load_file
from transformers import (AutoModelForCausalLM, AutoTokenizer, DeepseekV2Config, DeepseekV3Config, DynamicCache, LlamaConfig, MistralConfig,
                          Qwen2Config, Qwen2MoeConfig, Qwen3Config, Qwen3MoeConfig)
from transformers.utils import logging

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("SLIM_BIN", os.path.join(ROOT, "build", "release", "bin"))
TESTDATA = os.path.join(ROOT, "testdata")
JUDGE = os.path.join(os.path.dirname(ROOT), "shared", "judge")
TOKENIZER = os.path.join(TESTDATA, "golden", "models", "mini-qwen2-float32")
HELD_OUT = os.path.join(TESTDATA, "golden", "held-out-text.txt")

torch.set_num_threads(1)
logging.disable_progress_bar()


def slim_run(model, *words, text=None):
    process = subprocess.run([os.path.join(BIN, "slim-run"), model, *words], input=text, capture_output=True, text=True,
                             timeout=600, check=False)
    assert process.returncode == 0, f"slim-run {model} {' '.join(words)}: exit {process.returncode}\n{process.stderr}"
    return process.stdout


def slim_logits(model, text, folder, *words):
    path = os.path.join(folder, "logits.safetensors")
    slim_run(model, "-", "-n", "0", "--logits", path, "--force", *words, text=text)
    tensors = load_file(path)
    return tensors["input_ids"], tensors["logits"]


def logits_of(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor(ids.astype("int64"))[None]).logits[0].double()


def mean_divergence(judge, ours):
    """Mean KL(judge || ours) in nats a token."""
    p, q = torch.log_softmax(judge, -1), torch.log_softmax(torch.tensor(ours).double(), -1)
    return (p.exp() * (p - q)).sum(-1).mean().item()


COMMON = dict(vocab_size=320, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
              num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, eos_token_id=256, bos_token_id=None,
              pad_token_id=None)
THETA = {"rope_theta": 10000.0}
MIXTURE = dict(num_experts_per_tok=3, moe_intermediate_size=40)
LATENT = dict(COMMON, num_key_value_heads=4, kv_lora_rank=24, qk_nope_head_dim=12, qk_rope_head_dim=8, v_head_dim=20,
              n_routed_experts=12, **MIXTURE)
MODELS = {
    "llama": LlamaConfig(**COMMON, rope_parameters={"rope_type": "default", **THETA}),
    "llama with biases, tied, head_dim 24": LlamaConfig(**COMMON, attention_bias=True, mlp_bias=True, head_dim=24,
                                                        tie_word_embeddings=True),
    "linear": LlamaConfig(**COMMON, rope_parameters={"rope_type": "linear", "factor": 4.0, **THETA}),
    "dynamic": LlamaConfig(**COMMON, rope_parameters={"rope_type": "dynamic", "factor": 2.0, **THETA}),
    "yarn": LlamaConfig(**COMMON, rope_parameters={"rope_type": "yarn", "factor": 4.0, **THETA,
                                                   "original_max_position_embeddings": 16}),
    "yarn with mscale": LlamaConfig(**COMMON, rope_parameters={
        "rope_type": "yarn", "factor": 8.0, "rope_theta": 500000.0, "original_max_position_embeddings": 32, "beta_fast": 16.0,
        "beta_slow": 2.0, "mscale": 1.0, "mscale_all_dim": 0.7, "truncate": False}),
    "llama3": LlamaConfig(**COMMON, rope_parameters={
        "rope_type": "llama3", "factor": 8.0, "rope_theta": 500000.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32}),
    "mistral, window 8": MistralConfig(**COMMON, sliding_window=8),
    "mistral, no window": MistralConfig(**COMMON, sliding_window=None),
    "qwen2": Qwen2Config(**COMMON),
    "qwen2, window 5 from layer 1": Qwen2Config(**COMMON, use_sliding_window=True, sliding_window=5, max_window_layers=1),
    "qwen3, tied": Qwen3Config(**COMMON, head_dim=32, tie_word_embeddings=True),
    "qwen2-moe": Qwen2MoeConfig(**COMMON, **MIXTURE, num_experts=6, shared_expert_intermediate_size=56, decoder_sparse_step=2),
    "qwen3-moe": Qwen3MoeConfig(**COMMON, **MIXTURE, head_dim=24, num_experts=7, norm_topk_prob=True),
    "qwen3-moe, window 6": Qwen3MoeConfig(**COMMON, **MIXTURE, head_dim=16, num_experts=4, use_sliding_window=True,
                                          sliding_window=6, mlp_only_layers=[0]),
    "deepseek-v2 lite": DeepseekV2Config(**LATENT, q_lora_rank=None, n_shared_experts=2, first_k_dense_replace=1),
    "deepseek-v2": DeepseekV2Config(**LATENT, q_lora_rank=32, n_shared_experts=1, topk_method="group_limited_greedy", n_group=4,
                                    topk_group=2, routed_scaling_factor=4.0, rope_parameters={
                                        "rope_type": "yarn", "factor": 8.0, "rope_theta": 10000.0, "mscale": 0.707,
                                        "mscale_all_dim": 0.707, "original_max_position_embeddings": 16}),
    "deepseek-v3": DeepseekV3Config(**LATENT, q_lora_rank=32, n_group=3, topk_group=2, first_k_dense_replace=1,
                                    attention_bias=True, rope_parameters={
                                        "rope_type": "yarn", "factor": 8.0, "rope_theta": 10000.0, "mscale": 1.0,
                                        "mscale_all_dim": 1.0, "original_max_position_embeddings": 16}),
    "deepseek-v3, rotated by halves": DeepseekV3Config(**LATENT, q_lora_rank=None, n_group=1, topk_group=1,
                                                       rope_interleave=False, norm_topk_prob=False),
}


class Schema(unittest.TestCase):
    def test_json_follows_its_schema(self):
        with open(os.path.join(ROOT, "schemas", "run_output.schema.json"), encoding="utf-8") as file:
            validator = jsonschema.Draft202012Validator(json.load(file))
        model = os.path.join(TESTDATA, "models", "tiny-llama")
        for words in (("-p", "In the beginning", "-n", "3", "--expect", "of"), ("--ppl", HELD_OUT, "--ppl-windows", "1"),
                      ("--bench", "--bench-prompt", "8", "--bench-tokens", "2", "--bench-repeat", "2")):
            with self.subTest(words=words):
                validator.validate(json.loads(slim_run(model, *words, "--json")))


class AgainstTransformers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="slim-run-")
        self.addCleanup(shutil.rmtree, self.folder)

    def save(self, config, dtype):
        torch.manual_seed(7)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
        with torch.no_grad():
            for name, parameter in list(model.named_parameters()) + list(model.named_buffers()):
                if "inv_freq" in name:
                    continue
                if parameter.dim() > 1:
                    parameter.normal_(0, 0.15)
                elif name.endswith("bias"):
                    parameter.normal_(0, 0.3)
                else:
                    parameter.normal_(1, 0.2)
        path = os.path.join(self.folder, "model")
        shutil.rmtree(path, ignore_errors=True)
        model.to(dtype).save_pretrained(path)
        for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
            shutil.copy(os.path.join(TOKENIZER, name), path)
        # Loaded again, because .to() rounds the rotary frequencies, too.
        return path, AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()

    def test_logits_of_every_architecture(self):
        # Longer than max_position_embeddings and every window, so that masks and scaling show.
        text = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness"
        for name, config in MODELS.items():
            for dtype in (torch.float32, torch.bfloat16):
                with self.subTest(model=name, dtype=dtype):
                    path, model = self.save(config, dtype)
                    ids, ours = slim_logits(path, text, self.folder, "--ctx", "200", "-q")
                    wanted = logits_of(model, ids).numpy()
                    worst = (abs(ours - wanted).max(1) / abs(wanted).max(1)).max()
                    self.assertLess(worst, 2e-5)

    def test_greedy_text_with_dynamic_scaling_beyond_the_original_length(self):
        path, model = self.save(MODELS["dynamic"], torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(path)
        prompt = "It was the best of times, it was the worst of times, it was"
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        with torch.no_grad():
            wanted = model.generate(ids, max_new_tokens=24, do_sample=False)[0][ids.shape[1]:].tolist()
        found = json.loads(slim_run(path, "-p", prompt, "-n", "24", "--ctx", "200", "--json", "-q"))
        self.assertEqual(found["token_ids"], wanted)

    def test_configs_of_the_older_generation(self):
        path, model = self.save(MODELS["llama3"], torch.float32)
        with open(os.path.join(path, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        rope = config.pop("rope_parameters")
        config["rope_theta"] = rope.pop("rope_theta")
        config["rope_scaling"] = rope
        config["torch_dtype"] = config.pop("dtype")
        with open(os.path.join(path, "config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        ids, ours = slim_logits(path, "a text of some length, longer than the original context", self.folder)
        wanted = logits_of(model, ids).numpy()
        self.assertLess((abs(ours - wanted).max(1) / abs(wanted).max(1)).max(), 2e-5)


# KL that the project promises, in nats a token: activations at a rounding tie make positions differ, the more so
# where outliers are not smoothed.
QUANTIZED = {
    "one-click/mini-qwen2-bfloat16/w8a8-static": 5e-4,
    "one-click/mini-qwen2-bfloat16/w8a8-static-all": 5e-4,
    "one-click/mini-qwen2-bfloat16/w8a8-dynamic": 5e-4,
    "one-click/mini-qwen2-bfloat16/w8a16": 2e-5,
    "one-click/mini-qwen2-bfloat16/mindie-w8a8-dynamic": 5e-4,
    "one-click/mini-qwen3-float16/mindie-w8a8-static": 5e-4,
    "one-click/mini-qwen3-float16/w8a8-dynamic": 5e-4,
    "one-click/mini-qwen2-float32/w8a8-smooth-static": 2e-5,
    "one-click/mini-qwen2-float32/w8a8-smooth-dynamic": 2e-5,
    "traditional/mini-qwen2-bfloat16/a0-w8a8-m4": 2e-5,
    "traditional/mini-qwen2-bfloat16/m0-w8a8-m1": 2e-5,
    "traditional/mini-qwen2-bfloat16/a0-w8a16-asym": 2e-5,
    "traditional/mini-qwen2-bfloat16/m0-w8a8-dynamic": 5e-4,
    "traditional/mini-qwen2-bfloat16/a0-w8a8": 5e-4,
}


@unittest.skipUnless(os.path.exists(os.path.join(JUDGE, "emulate.py")), "no judge beside the checkout")
class AgainstTheJudge(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        sys.path.insert(0, JUDGE)
        import emulate  # pylint: disable=import-outside-toplevel,import-error
        cls.judge = emulate
        with open(HELD_OUT, encoding="utf-8") as file:
            cls.text = file.read()

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="slim-run-")
        self.addCleanup(shutil.rmtree, self.folder)

    def check(self, path, limit, characters):
        model, tokenizer = self.judge.load(path), AutoTokenizer.from_pretrained(path)
        for backend in ("reference", "fast"):
            divergences = []
            for start in range(0, 9000, 3000):
                ids, ours = slim_logits(path, self.text[start:start + characters], self.folder, "--backend", backend)
                divergences.append(mean_divergence(logits_of(model, ids), ours))
            self.assertLessEqual(numpy.mean(divergences), limit)
            found = json.loads(slim_run(path, "--ppl", HELD_OUT, "--ppl-windows", "12", "--json", "--backend", backend))
            wanted = self.judge.perplexity(model, tokenizer, self.text)
            self.assertLessEqual(abs(found["perplexity"] / wanted - 1), 2e-3)

    def test_quantized_checkpoints_of_msmodelslim(self):
        for name, limit in QUANTIZED.items():
            with self.subTest(checkpoint=name):
                self.check(os.path.join(TESTDATA, "golden", name), limit, 250)

    @unittest.skipUnless(os.path.exists(os.path.join(BIN, "slim-quant")), "slim-quant is not built")
    def test_checkpoints_that_slim_quant_makes(self):
        calib = ("--calib", os.path.join(TESTDATA, "calibration", "default.jsonl"))
        for model in ("tiny-llama", "tiny-qwen2"):
            for words, limit in ((("--type", "w8a8", *calib), 2e-5), (("--type", "w8a8", "--smooth", "none", *calib), 5e-4),
                                 (("--type", "w8a8_dynamic", *calib), 2e-5), (("--type", "w8a8_dynamic", "--smooth", "none"), 5e-4),
                                 (("--type", "w8a16"), 2e-5)):
                with self.subTest(model=model, words=words):
                    path = os.path.join(self.folder, "quantized")
                    process = subprocess.run([os.path.join(BIN, "slim-quant"), os.path.join(TESTDATA, "models", model), "-o", path,
                                              "--force", *words], check=False, capture_output=True, text=True, timeout=600)
                    self.assertEqual(process.returncode, 0, process.stderr)
                    self.check(path, limit, 900)

    def test_golden_linears_are_what_the_judge_computes(self):
        from make_quantized_linears import linears  # pylint: disable=import-outside-toplevel
        golden = load_file(os.path.join(TESTDATA, "golden", "run", "quantized-linears.safetensors"))
        computed = linears(self.judge)
        self.assertEqual(sorted(golden), sorted(computed))
        for name, tensor in computed.items():
            if name.endswith(".y"):
                numpy.testing.assert_allclose(golden[name], tensor, rtol=1e-6)
            else:
                numpy.testing.assert_array_equal(golden[name], tensor)


class RoundedCache(DynamicCache):
    """Keeps what int8 codes by channel stand for; `scales` are [heads, 1, dim] of keys and values, by layer."""

    def __init__(self, scales):
        super().__init__()
        self.scales = scales

    def update(self, key_states, value_states, layer_idx, *more, **named):
        keys, values = (torch.clamp(torch.round(states * (1 / scale)), -128, 127) * scale
                        for states, scale in zip((key_states, value_states), self.scales[layer_idx]))
        return super().update(keys, values, layer_idx, *more, **named)


class QuantizedCache(unittest.TestCase):
    def test_c8_is_what_a_rounded_cache_gives(self):
        with tempfile.TemporaryDirectory() as folder:
            source, target = os.path.join(TESTDATA, "models", "tiny-qwen2"), os.path.join(folder, "c8")
            subprocess.run([os.path.join(BIN, "slim-quant"), source, "-o", target, "--type", "w8a16", "--kv-cache", "c8", "-q"],
                           check=True, timeout=300)
            tensors = {}
            for name in os.listdir(target):
                if name.endswith(".safetensors"):
                    tensors.update(torch_load_file(os.path.join(target, name)))
            model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
            weights = {}
            for name, tensor in tensors.items():
                if tensor.dtype == torch.int8:
                    stem = name.removesuffix("weight")
                    tensor = (tensor.float() - tensors[stem + "weight_offset"].float()) * tensors[stem + "weight_scale"].float()
                if not name.endswith(("_scale", "_offset")):
                    weights[name] = tensor.float()
            model.load_state_dict(weights, strict=False)
            heads, dim = model.config.num_key_value_heads, tensors["model.layers.0.self_attn.k_proj.kv_cache_scale"].numel()
            scales = [[tensors[f"model.layers.{i}.self_attn.{p}_proj.kv_cache_scale"].float().view(heads, 1, dim // heads)
                       for p in "kv"] for i in range(model.config.num_hidden_layers)]
            ids, ours = slim_logits(target, "It was the best of times, it was the worst of times", folder, "--backend", "reference")
            with torch.no_grad():
                wanted = model(torch.tensor(ids.astype("int64"))[None], past_key_values=RoundedCache(scales)).logits[0]
            largest = wanted.abs().max().item()
            # A code on the edge of rounding may fall the other way.
            self.assertLess(numpy.abs(ours - wanted.numpy()).max(), 5e-3 * largest)
            _, plain = slim_logits(target, "It was the best of times, it was the worst of times", folder, "--kv-cache", "fp32")
            self.assertGreater(numpy.abs(plain - wanted.numpy()).max(), numpy.abs(ours - wanted.numpy()).max())


class Dumps(unittest.TestCase):
    def test_dumps_are_what_hooks_see(self):
        model_path = os.path.join(TESTDATA, "models", "tiny-qwen2")
        with tempfile.TemporaryDirectory() as folder:
            plain, msit = os.path.join(folder, "plain"), os.path.join(folder, "msit")
            slim_run(model_path, "-p", "Hello there", "-n", "1", "--dump-layers", plain, "--backend", "reference")
            slim_run(model_path, "-p", "Hello there", "-n", "1", "--dump-layers", msit, "--dump-format", "msit", "--backend",
                     "reference")
            ours = {}
            for name in os.listdir(os.path.join(plain, "0")):
                ours.update(torch_load_file(os.path.join(plain, "0", name)))
            model = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32)
            seen = {}

            def hook(name):
                def record(_, inputs, output):
                    output = output[0] if isinstance(output, tuple) else output
                    seen[name + ".output"] = output[0].detach()
                    if name.endswith(("_proj", "lm_head")):
                        seen[name + ".input"] = inputs[0][0].detach()
                return record

            for name, module in model.named_modules():
                if isinstance(module, torch.nn.Linear) or name == "model.embed_tokens" or name.split(".")[-1].isdigit():
                    module.register_forward_hook(hook(name))
            with torch.no_grad():
                model(ours.pop("input_ids").long()[None])
            self.assertEqual(set(ours), set(seen))
            root = os.path.join(msit, "msit_dump", "torch_tensors", "cpu_0")
            for name, wanted in seen.items():
                self.assertLess((ours[name] - wanted).abs().max().item(), 1e-4 * max(1.0, wanted.abs().max().item()), name)
                module, kind = name.rsplit(".", 1)
                path = os.path.join(root, "0", "root." + module, "input_0.pth" if kind == "input" else "output.pth")
                self.assertTrue(torch.equal(torch.load(path, weights_only=True)[0], ours[name]), name)
            with open(os.path.join(root, "model_tree.json"), encoding="utf-8") as file:
                tree = json.load(file)

            def names(node):
                return {node["name"]}.union(*(names(child) for child in node["children"]))
            self.assertLessEqual({"root." + name for name, _ in model.named_modules() if name and "rotary" not in name
                                  and "act_fn" not in name}, names(tree))


if __name__ == "__main__":
    unittest.main()
