#!/usr/bin/env python3
"""Makes the small random checkpoints of this folder and what transformers says of them: `python3 make.py FOLDER`. transformers
5.23.0, torch 2.13.0 (CPU), float32 arithmetic on weights rounded to bfloat16, eager attention. The tokenizer of
../golden/models/mini-qwen2-float32 fits all of them."""

import json
import os
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import (AutoModelForCausalLM, DeepseekV2Config, DeepseekV3Config, Qwen2MoeConfig, Qwen2_5_VLConfig,
                          Qwen2_5_VLForConditionalGeneration, Qwen3MoeConfig)

COMMON = dict(vocab_size=320, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=128,
              eos_token_id=256, bos_token_id=None, pad_token_id=None)
YARN = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0, "original_max_position_embeddings": 16, "beta_fast": 32,
        "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.8}
LATENT = dict(kv_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=16, num_key_value_heads=4)
PROMPTS = ("It was the best of times, it was the", "def add(a, b):")
MODELS = {
    "qwen2-moe": Qwen2MoeConfig(**COMMON, hidden_size=32, num_key_value_heads=2, num_experts=4, num_experts_per_tok=2,
                                moe_intermediate_size=32, shared_expert_intermediate_size=64),
    "qwen3-moe": Qwen3MoeConfig(**COMMON, hidden_size=32, num_key_value_heads=2, head_dim=16, num_experts=8,
                                num_experts_per_tok=2, moe_intermediate_size=32, norm_topk_prob=True, mlp_only_layers=[1]),
    "deepseek-v2": DeepseekV2Config(**COMMON, **LATENT, hidden_size=32, q_lora_rank=None, n_routed_experts=8, n_shared_experts=2,
                                    num_experts_per_tok=3, moe_intermediate_size=32, first_k_dense_replace=1,
                                    topk_method="group_limited_greedy", n_group=4, topk_group=2, rope_parameters=YARN),
    "deepseek-v3": DeepseekV3Config(**COMMON, **LATENT, hidden_size=32, q_lora_rank=48, n_routed_experts=8, n_shared_experts=1,
                                    num_experts_per_tok=2, moe_intermediate_size=32, first_k_dense_replace=2, n_group=4,
                                    topk_group=2, routed_scaling_factor=2.5, rope_parameters=YARN, num_nextn_predict_layers=1),
    "qwen2.5-vl": Qwen2_5_VLConfig(
        text_config=dict(**COMMON, hidden_size=32, num_key_value_heads=2,
                         rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 1, 2]}),
        vision_config=dict(depth=1, hidden_size=16, intermediate_size=24, num_heads=2, out_hidden_size=32, patch_size=2)),
}
# Kept by the project's older checkpoints, left out by newer writers.
EXTRA_KEYS = {"deepseek-v3": {"scoring_func": "sigmoid", "topk_method": "noaux_tc"}, "deepseek-v2": {"scoring_func": "softmax"}}


def random_model(config):
    torch.manual_seed(11)
    kind = Qwen2_5_VLForConditionalGeneration if config.model_type == "qwen2_5_vl" else AutoModelForCausalLM
    model = (kind(config) if kind is Qwen2_5_VLForConditionalGeneration
             else kind.from_config(config, attn_implementation="eager"))
    with torch.no_grad():
        for name, tensor in list(model.named_parameters()) + list(model.named_buffers()):
            if name.endswith("e_score_correction_bias"):
                tensor.normal_(0, 0.3)
            elif "inv_freq" in name:
                continue
            elif tensor.dim() > 1:
                tensor.normal_(0, 0.25)
            else:
                tensor.normal_(0 if name.endswith("bias") else 1, 0.2)
    return kind, model


def add_mtp_layer(path, config):
    """The tensors of a multi-token-prediction layer, which transformers does not write."""
    file = os.path.join(path, "model.safetensors")
    tensors, h = load_file(file), config.hidden_size
    prefix = f"model.layers.{config.num_hidden_layers}."
    torch.manual_seed(12)
    for name, shape in {"eh_proj.weight": (h, 2 * h), "enorm.weight": (h,), "hnorm.weight": (h,),
                        "shared_head.norm.weight": (h,)}.items():
        tensors[prefix + name] = torch.randn(shape).to(torch.bfloat16)
    save_file(tensors, file, metadata={"format": "pt"})


def make(name, config, folder, tokenizer):
    path = os.path.join(folder, name)
    shutil.rmtree(path, ignore_errors=True)
    kind, model = random_model(config)
    model.to(torch.bfloat16).save_pretrained(path)
    # Loaded again, because .to() rounds the rotary frequencies, too.
    model = kind.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    if name == "deepseek-v3":
        add_mtp_layer(path, config)
    with open(os.path.join(path, "config.json"), encoding="utf-8") as file:
        text = json.load(file)
    text.update(EXTRA_KEYS.get(name, {}))
    with open(os.path.join(path, "config.json"), "w", encoding="utf-8") as file:
        json.dump(text, file, indent=1)
    generation = os.path.join(path, "generation_config.json")
    if os.path.exists(generation):
        os.remove(generation)
    generations, golden = [], {}
    for number, prompt in enumerate(PROMPTS):
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        with torch.no_grad():
            new = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False)[0]
            logits = model(input_ids=new[None]).logits[0]
        generations.append({"prompt": prompt, "ids": ids[0].tolist(), "new_ids": new[ids.shape[1]:].tolist()})
        if number == 0:
            golden = {"input_ids": new[:40].int().contiguous(), "logits": logits[:40].float().contiguous()}
    save_file(golden, os.path.join(path, "..", f"{name}.logits.safetensors"))
    with open(os.path.join(path, "..", f"{name}.generations.json"), "w", encoding="utf-8") as file:
        json.dump(generations, file)


def main():
    from transformers import AutoTokenizer  # pylint: disable=import-outside-toplevel
    here = os.path.dirname(os.path.abspath(__file__))
    tokenizer = AutoTokenizer.from_pretrained(os.path.join(here, "..", "golden", "models", "mini-qwen2-float32"))
    for name, config in MODELS.items():
        make(name, config, sys.argv[1], tokenizer)


main()
