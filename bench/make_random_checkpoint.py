#!/usr/bin/env python3
"""Writes a random float checkpoint in the shape of a small Qwen2 (0.5 billion parameters unless told otherwise), for timing.

usage: make_random_checkpoint.py OUT [--layers N] [--hidden N] [--vocab N] [--dtype bf16|fp32] [--slow-tokenizer]
Needs nothing but Python. The values are noise with a plausible spread; the tokenizer is that of testdata/models/tiny-qwen2,
with --slow-tokenizer also as the vocab.json and merges.txt that msModelSlim loads.
"""
import argparse
import json
import pathlib
import random
import shutil

ROOT = pathlib.Path(__file__).resolve().parent.parent


def tensor_shapes(args):
    hidden, inner, kv = args.hidden, args.hidden * 38 // 7, args.hidden // 7
    yield "model.embed_tokens.weight", [args.vocab, hidden]
    for i in range(args.layers):
        prefix = f"model.layers.{i}"
        for name, n, k, bias in (("self_attn.q_proj", hidden, hidden, True), ("self_attn.k_proj", kv, hidden, True),
                                 ("self_attn.v_proj", kv, hidden, True), ("self_attn.o_proj", hidden, hidden, False),
                                 ("mlp.gate_proj", inner, hidden, False), ("mlp.up_proj", inner, hidden, False),
                                 ("mlp.down_proj", hidden, inner, False)):
            yield f"{prefix}.{name}.weight", [n, k]
            if bias:
                yield f"{prefix}.{name}.bias", [n]
        yield f"{prefix}.input_layernorm.weight", [hidden]
        yield f"{prefix}.post_attention_layernorm.weight", [hidden]
    yield "model.norm.weight", [hidden]


def noise(rng, bytes_a_value):
    """One megabyte of values between 2^-9 and 2^-5 in either sign, repeated to fill a tensor."""
    high = [0x3B, 0x3C, 0x3C, 0x3D, 0xBB, 0xBC, 0xBC, 0xBD]
    filler = bytes_a_value - 2
    return b"".join(rng.randbytes(filler + 1) + bytes([rng.choice(high)]) for _ in range((1 << 20) // bytes_a_value))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--hidden", type=int, default=896)
    parser.add_argument("--vocab", type=int, default=151936)
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--slow-tokenizer", action="store_true")
    args = parser.parse_args()
    width, name = (2, "BF16") if args.dtype == "bf16" else (4, "F32")
    args.out.mkdir(parents=True)
    header, position, sizes = {}, 0, []
    for tensor, shape in sorted(tensor_shapes(args)):
        size = width
        for dimension in shape:
            size *= dimension
        header[tensor] = {"dtype": name, "shape": shape, "data_offsets": [position, position + size]}
        sizes.append(size)
        position += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    block = noise(random.Random(1), width)
    with open(args.out / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for size in sizes:
            for _ in range(size // len(block)):
                file.write(block)
            file.write(block[: size % len(block)])
    config = json.loads((ROOT / "testdata/models/tiny-qwen2/config.json").read_text())
    heads = max(args.hidden // 64, 1)
    config.update(hidden_size=args.hidden, intermediate_size=args.hidden * 38 // 7, num_hidden_layers=args.layers,
                  num_attention_heads=heads, num_key_value_heads=max(heads // 7, 1), vocab_size=args.vocab,
                  tie_word_embeddings=True, torch_dtype="bfloat16" if args.dtype == "bf16" else "float32")
    (args.out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for side in ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json"):
        shutil.copy(ROOT / "testdata/models/tiny-qwen2" / side, args.out / side)
    if args.slow_tokenizer:
        model = json.loads((args.out / "tokenizer.json").read_text())["model"]
        (args.out / "vocab.json").write_text(json.dumps(model["vocab"]))
        merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
        (args.out / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")


main()
