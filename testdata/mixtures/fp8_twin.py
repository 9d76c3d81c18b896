#!/usr/bin/env python3
"""`python3 fp8_twin.py MODEL FP8 BF16`: two checkpoints with the same numbers from a bfloat16 one (standard library alone): FP8
has its linears in F8_E4M3 with a scale a block of 24 x 20, a power of two, so that BF16 holds their products exactly."""

import json
import os
import shutil
import struct
import sys

ROWS, COLUMNS = 24, 20


def read(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        body = file.read()
    header.pop("__metadata__", None)
    return {name: (info["dtype"], info["shape"], body[slice(*info["data_offsets"])]) for name, info in header.items()}


def write(path, tensors):
    header, offset = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


def fp8_of(value):
    """The E4M3 byte of the largest magnitude not above a float32's, and its value; below 2^-6 zero."""
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    sign, exponent, mantissa = bits >> 31, (bits >> 23 & 255) - 127, bits >> 20 & 7
    if exponent < -6:
        return sign << 7, -0.0 if sign else 0.0
    magnitude = (1 + mantissa / 8) * 2.0 ** exponent
    return sign << 7 | (exponent + 7) << 3 | mantissa, -magnitude if sign else magnitude


def block_scale(row, column):
    return 2.0 ** -((row // ROWS + 2 * (column // COLUMNS)) % 5)


def twins(shape, data):
    n, k = shape
    codes, exact = bytearray(), bytearray()
    for i, (bits,) in enumerate(struct.iter_unpack("<H", data)):
        scale = block_scale(i // k, i % k)
        byte, value = fp8_of(struct.unpack("<f", struct.pack("<I", bits << 16))[0] / scale)
        codes.append(byte)
        exact += struct.pack("<f", value * scale)[2:]
    scales = b"".join(struct.pack("<f", block_scale(row, column)) for row in range(0, n, ROWS) for column in range(0, k, COLUMNS))
    return bytes(codes), scales, bytes(exact)


def main():
    model, fp8, bf16 = sys.argv[1:]
    for folder in (fp8, bf16):
        shutil.copytree(model, folder)
    blocks, plain = {}, {}
    for name, (dtype, shape, data) in read(os.path.join(model, "model.safetensors")).items():
        plain[name] = blocks[name] = (dtype, shape, data)
        if ".layers." not in name or len(shape) != 2 or name.endswith(".gate.weight"):
            continue
        codes, scales, exact = twins(shape, data)
        blocks[name] = ("F8_E4M3", shape, codes)
        blocks[name + "_scale_inv"] = ("F32", [-(-shape[0] // ROWS), -(-shape[1] // COLUMNS)], scales)
        plain[name] = ("BF16", shape, exact)
    write(os.path.join(fp8, "model.safetensors"), blocks)
    write(os.path.join(bf16, "model.safetensors"), plain)
    path = os.path.join(fp8, "config.json")
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    config["quantization_config"] = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [ROWS, COLUMNS],
                                     "activation_scheme": "dynamic"}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file, indent=1)


main()
