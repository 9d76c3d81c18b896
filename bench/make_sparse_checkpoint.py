#!/usr/bin/env python3
"""Makes an ascendv1 checkpoint of any number of tensors whose data is a hole: what header-only work on a large model costs.

Usage: make_sparse_checkpoint.py OUT [--tensors 90000] [--shards 160]

A mixture of experts in W8A8_DYNAMIC: three tensors a linear layer. Only headers, index and description take space on disk.
"""

import argparse
import json
import pathlib
import struct

ROWS, COLUMNS = 256, 1024
DTYPE_BYTES = {"I8": 1, "F32": 4, "BF16": 2}
DTYPE_RANK = ["F32", "BF16", "I8"]  # highest first, as the reference orders a file


def tensors_of_model(count):
    yield "model.embed_tokens.weight", "BF16", [320, COLUMNS], "FLOAT"
    yield "model.norm.weight", "BF16", [COLUMNS], "FLOAT"
    yield "lm_head.weight", "BF16", [320, COLUMNS], "FLOAT"
    made, linear = 3, 0
    while made + 3 <= count:
        expert, projection = divmod(linear, 3)
        layer, expert = divmod(expert, 256)
        module = f"model.layers.{layer}.mlp.experts.{expert}.{('gate_proj', 'up_proj', 'down_proj')[projection]}"
        shape = [ROWS, COLUMNS] if projection < 2 else [COLUMNS, ROWS]
        yield f"{module}.weight", "I8", shape, "W8A8_DYNAMIC"
        yield f"{module}.weight_scale", "F32", [shape[0], 1], "W8A8_DYNAMIC"
        yield f"{module}.weight_offset", "F32", [shape[0], 1], "W8A8_DYNAMIC"
        made, linear = made + 3, linear + 1


def byte_size(dtype, shape):
    size = DTYPE_BYTES[dtype]
    for extent in shape:
        size *= extent
    return size


def write_shard(path, tensors):
    header, position = {}, 0
    for name, dtype, shape, _ in sorted(tensors, key=lambda t: (DTYPE_RANK.index(t[1]), t[0])):
        end = position + byte_size(dtype, shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + position)
    return position


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--tensors", type=int, default=90000)
    parser.add_argument("--shards", type=int, default=160)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True)

    tensors = list(tensors_of_model(arguments.tensors))
    weight_map, total = {}, 0
    for shard in range(arguments.shards):
        part = tensors[len(tensors) * shard // arguments.shards:len(tensors) * (shard + 1) // arguments.shards]
        name = f"quant_model_weights-{shard + 1:05d}-of-{arguments.shards:05d}.safetensors"
        total += write_shard(arguments.out / name, part)
        weight_map.update((tensor[0], name) for tensor in part)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (arguments.out / "quant_model_weights.safetensors.index.json").write_text(json.dumps(index, indent=2))
    description = {name: label for name, _, _, label in tensors}
    description.update(version="1.0.0", model_quant_type="W8A8_DYNAMIC", metadata={}, group_size=0, optional={})
    (arguments.out / "quant_model_description.json").write_text(json.dumps(description, indent=4))
    # No architecture that is known: the layout has experts only.
    config = {"architectures": ["ExpertsForCausalLM"], "model_type": "experts", "torch_dtype": "bfloat16"}
    (arguments.out / "config.json").write_text(json.dumps(config, indent=2))
    (arguments.out / "tokenizer.json").write_text("{}")
    print(f"{arguments.out}: {len(tensors)} tensors in {arguments.shards} shards, {total} bytes described")


if __name__ == "__main__":
    main()
