#!/usr/bin/env python3
"""Writes a random checkpoint of FP8 blocks in the shape of a small DeepSeek-V3, for timing.

usage: make_fp8_checkpoint.py OUT [--gib N]
Needs nothing but Python. Weights are F8_E4M3 with F32 scales a block of 128 by 128; --gib counts their bytes, about.
"""
import argparse
import json
import pathlib
import random
import struct

ROOT = pathlib.Path(__file__).resolve().parent.parent
HIDDEN, INNER, EXPERT, HEADS, VOCAB = 1024, 2816, 1024, 16, 32000
Q_RANK, KV_RANK, NOPE, ROPE, VALUE = 512, 512, 64, 64, 64
EXPERTS, BLOCK = 32, 128
WIDTH = {"F8_E4M3": 1, "BF16": 2, "F32": 4}


def linear(name, n, k):
    yield f"{name}.weight", "F8_E4M3", [n, k]
    yield f"{name}.weight_scale_inv", "F32", [-(-n // BLOCK), -(-k // BLOCK)]


def mlp(name, width):
    for projection, n, k in (("gate_proj", width, HIDDEN), ("up_proj", width, HIDDEN), ("down_proj", HIDDEN, width)):
        yield from linear(f"{name}.{projection}", n, k)


def layer_tensors(i):
    prefix = f"model.layers.{i}"
    attention = f"{prefix}.self_attn"
    yield from linear(f"{attention}.q_a_proj", Q_RANK, HIDDEN)
    yield f"{attention}.q_a_layernorm.weight", "BF16", [Q_RANK]
    yield from linear(f"{attention}.q_b_proj", HEADS * (NOPE + ROPE), Q_RANK)
    yield from linear(f"{attention}.kv_a_proj_with_mqa", KV_RANK + ROPE, HIDDEN)
    yield f"{attention}.kv_a_layernorm.weight", "BF16", [KV_RANK]
    yield from linear(f"{attention}.kv_b_proj", HEADS * (NOPE + VALUE), KV_RANK)
    yield from linear(f"{attention}.o_proj", HIDDEN, HEADS * VALUE)
    yield f"{prefix}.input_layernorm.weight", "BF16", [HIDDEN]
    yield f"{prefix}.post_attention_layernorm.weight", "BF16", [HIDDEN]
    if i == 0:
        yield from mlp(f"{prefix}.mlp", INNER)
        return
    yield f"{prefix}.mlp.gate.weight", "BF16", [EXPERTS, HIDDEN]
    yield f"{prefix}.mlp.gate.e_score_correction_bias", "F32", [EXPERTS]
    for expert in range(EXPERTS):
        yield from mlp(f"{prefix}.mlp.experts.{expert}", EXPERT)
    yield from mlp(f"{prefix}.mlp.shared_experts", EXPERT)


def all_tensors(layers):
    yield "model.embed_tokens.weight", "BF16", [VOCAB, HIDDEN]
    yield "lm_head.weight", "BF16", [VOCAB, HIDDEN]
    yield "model.norm.weight", "BF16", [HIDDEN]
    for i in range(layers):
        yield from layer_tensors(i)


def byte_size(dtype, shape):
    size = WIDTH[dtype]
    for extent in shape:
        size *= extent
    return size


def blocks():
    """One megabyte of plausible values a dtype, repeated to fill a tensor."""
    rng = random.Random(1)
    codes = [code for code in range(256) if code & 0x7F < 0x7F]  # all but NaN
    return {"F8_E4M3": bytes(rng.choices(codes, k=1 << 20)),
            "BF16": b"".join(rng.randbytes(1) + bytes([rng.choice((0x3C, 0x3D, 0xBC, 0xBD))]) for _ in range(1 << 19)),
            "F32": b"".join(struct.pack("<f", rng.uniform(1e-5, 1e-4)) for _ in range(1 << 18))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--gib", type=float, default=3)
    args = parser.parse_args()
    a_layer = sum(byte_size(dtype, shape) for _, dtype, shape in layer_tensors(1))
    layers = max(2, round(args.gib * 2**30 / a_layer))
    args.out.mkdir(parents=True)
    header, position = {}, 0
    tensors = sorted(all_tensors(layers), key=lambda tensor: (["F32", "BF16", "F8_E4M3"].index(tensor[1]), tensor[0]))
    for name, dtype, shape in tensors:
        end = position + byte_size(dtype, shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    fill = blocks()
    with open(args.out / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, dtype, shape in tensors:
            size, block = byte_size(dtype, shape), fill[dtype]
            for _ in range(size // len(block)):
                file.write(block)
            file.write(block[: size % len(block)])
    config = json.loads((ROOT / "testdata/mixtures/deepseek-v3/config.json").read_text())
    config.update(first_k_dense_replace=1, head_dim=ROPE, hidden_size=HIDDEN, intermediate_size=INNER, kv_lora_rank=KV_RANK,
                  moe_intermediate_size=EXPERT, n_routed_experts=EXPERTS, num_attention_heads=HEADS, num_hidden_layers=layers,
                  num_key_value_heads=HEADS, num_nextn_predict_layers=0, q_lora_rank=Q_RANK, qk_head_dim=NOPE + ROPE,
                  qk_nope_head_dim=NOPE, qk_rope_head_dim=ROPE, v_head_dim=VALUE, vocab_size=VOCAB,
                  quantization_config={"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
                                       "weight_block_size": [BLOCK, BLOCK]})
    (args.out / "config.json").write_text(json.dumps(config, indent=2) + "\n")


main()
