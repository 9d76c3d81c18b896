"""Checkpoints of other ecosystems, written from a bfloat16 model by the layouts of their own packages (facts: ecosystem.md 1.3 B to F) and
not by slim: GPTQ in both versions and with act-order, AWQ, FP8 blocks, compressed-tensors. Every decoder linear is quantized."""

import bisect
import json
import shutil
import struct

from checkpoint_files import Tensor, read_safetensors, tensor, write_safetensors

GROUP = 32
BLOCK = 32
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
MAX_E4M3 = 448.0


def e4m3_values():
    """(value, code) of the 127 finite non-negative ones, ascending."""
    values = []
    for code in range(0x7F):
        exponent, mantissa = code >> 3, code & 7
        values.append((mantissa / 8 * 2 ** -6 if exponent == 0 else (1 + mantissa / 8) * 2.0 ** (exponent - 7), code))
    return values


E4M3 = e4m3_values()
E4M3_KEYS = [value for value, _ in E4M3]


def to_e4m3(value):
    size = min(abs(value), MAX_E4M3)
    at = min(bisect.bisect_left(E4M3_KEYS, size), len(E4M3) - 1)
    if at > 0 and size - E4M3_KEYS[at - 1] < E4M3_KEYS[at] - size:
        at -= 1
    return E4M3[at][1] | (0x80 if value < 0 else 0)


def rows_of(weight):
    rows, columns = weight.shape
    values = weight.values()
    return [values[row * columns:(row + 1) * columns] for row in range(rows)]


def signed(word):
    return word - (1 << 32) if word >> 31 else word


def words(codes):
    """Eight 4-bit codes a word, the first in the lowest bits."""
    return [signed(sum(code << 4 * at for at, code in enumerate(codes[i:i + 8]))) for i in range(0, len(codes), 8)]


def quantize_groups(rows, symmetric):
    """codes[n][k] in 0..15, scales[n][groups], zeros[n][groups]."""
    codes, scales, zeros = [], [], []
    for row in rows:
        codes.append([])
        scales.append([])
        zeros.append([])
        for begin in range(0, len(row), GROUP):
            group = row[begin:begin + GROUP]
            low, high = min(0.0, *group), max(0.0, *group)
            if symmetric:
                scale, zero = max(-low, high, 1e-4) / 7, 8
            else:
                scale = max(high - low, 1e-3) / 15
                zero = min(15, max(0, round(-low / scale)))
            scale, = struct.unpack("<e", struct.pack("<e", scale))
            codes[-1] += [min(15, max(0, round(value / scale) + zero)) for value in group]
            scales[-1].append(scale)
            zeros[-1].append(zero)
    return codes, scales, zeros


def transposed(rows):
    return [list(column) for column in zip(*rows)]


def flat(rows):
    return [value for row in rows for value in row]


def is_quantized(name):
    return ".layers." in name and name.endswith("_proj.weight")


def write(source, target, quantization, layer):
    """`layer` makes the tensors {suffix: Tensor} of a weight."""
    tensors = {}
    for name, weight in read_safetensors(source / "model.safetensors").items():
        if is_quantized(name):
            module = name.rpartition(".")[0]
            tensors.update({f"{module}.{suffix}": part for suffix, part in layer(rows_of(weight)).items()})
        else:
            tensors[name] = weight
    target.mkdir()
    write_safetensors(target / "model.safetensors", tensors)
    for file in source.iterdir():
        if file.suffix != ".safetensors" and file.name != "config.json":
            shutil.copyfile(file, target / file.name)
    config = json.loads((source / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, "quantization_config": quantization}, indent=2))


def gptq(version, act_order):
    def layer(rows):
        n, k = len(rows), len(rows[0])
        order = sorted(range(k), key=lambda column: column * 7 % k) if act_order else list(range(k))
        codes, scales, zeros = quantize_groups([[row[column] for column in order] for row in rows], symmetric=True)
        place = {column: at for at, column in enumerate(order)}
        by_column = [[row[place[column]] for column in range(k)] for row in codes]
        lines = transposed(by_column)  # [k][n]
        qweight = flat([words([lines[i + p][j] for j in range(n) for p in range(8)]) for i in range(0, k, 8)])
        stored = [[zero - (1 if version == "gptq" else 0) for zero in line] for line in transposed(zeros)]
        return {"qweight": tensor("I32", [k // 8, n], qweight),
                "qzeros": tensor("I32", [k // GROUP, n // 8], words(flat(stored))),
                "scales": tensor("F16", [k // GROUP, n], flat(transposed(scales))),
                "g_idx": tensor("I32", [k], [place[column] // GROUP for column in range(k)])}

    return lambda source, target: write(source, target, {
        "quant_method": "gptq", "bits": 4, "group_size": GROUP, "sym": True, "desc_act": act_order, "checkpoint_format": version,
        "lm_head": False, "damp_percent": 0.01}, layer)


def awq(source, target):
    def layer(rows):
        n, k = len(rows), len(rows[0])
        codes, scales, zeros = quantize_groups(rows, symmetric=False)

        def interleaved(lines):
            return words(flat([[line[i + at] for at in AWQ_ORDER] for line in lines for i in range(0, n, 8)]))
        return {"qweight": tensor("I32", [k, n // 8], interleaved(transposed(codes))),
                "qzeros": tensor("I32", [k // GROUP, n // 8], interleaved(transposed(zeros))),
                "scales": tensor("F16", [k // GROUP, n], flat(transposed(scales)))}

    write(source, target, {"quant_method": "awq", "bits": 4, "group_size": GROUP, "version": "gemm", "zero_point": True,
                           "modules_to_not_convert": None}, layer)


def fp8_block(source, target):
    def layer(rows):
        n, k = len(rows), len(rows[0])
        scales = [[max(1e-6, max(abs(rows[i][j]) for i in range(a, min(a + BLOCK, n)) for j in range(b, min(b + BLOCK, k)))) / MAX_E4M3
                   for b in range(0, k, BLOCK)] for a in range(0, n, BLOCK)]
        codes = bytes(to_e4m3(rows[i][j] / scales[i // BLOCK][j // BLOCK]) for i in range(n) for j in range(k))
        return {"weight": Tensor("F8_E4M3", [n, k], codes),
                "weight_scale_inv": tensor("F32", [len(scales), len(scales[0])], flat(scales))}

    write(source, target, {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [BLOCK, BLOCK]}, layer)


def compressed_tensors(source, target):
    def layer(rows):
        n, k = len(rows), len(rows[0])
        codes, scales, _ = quantize_groups(rows, symmetric=True)
        return {"weight_packed": tensor("I32", [n, k // 8], words(flat(codes))),
                "weight_scale": tensor("BF16", [n, k // GROUP], flat(scales)),
                "weight_shape": tensor("I64", [2], [n, k])}

    write(source, target, {
        "quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "compressed", "ignore": ["lm_head"],
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": {
            "num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": GROUP, "dynamic": False}}}}, layer)


LAYOUTS = {"gptq": gptq("gptq", False), "gptq-v2": gptq("gptq_v2", False), "gptq-act-order": gptq("gptq", True), "awq": awq,
           "fp8-block": fp8_block, "compressed-tensors": compressed_tensors}
