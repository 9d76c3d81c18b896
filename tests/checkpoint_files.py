"""Checkpoints as test modules alter them: safetensors files, description and config as plain Python values, without any package."""

import json
import math
import os
import pathlib
import shutil
import struct

WIDTH = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "I8": 1, "U8": 1, "F8_E4M3": 1, "BOOL": 1}


class Tensor:
    def __init__(self, dtype, shape, data):
        self.dtype, self.shape, self.data = dtype, list(shape), bytes(data)

    def values(self):
        """As Python numbers; BF16 widened."""
        if self.dtype == "BF16":
            halves = struct.unpack(f"<{len(self.data) // 2}H", self.data)
            return list(struct.unpack(f"<{len(halves)}f", struct.pack(f"<{len(halves)}I", *(half << 16 for half in halves))))
        code = {"F64": "d", "I64": "q", "F32": "f", "I32": "i", "F16": "e", "I8": "b", "U8": "B"}[self.dtype]
        return list(struct.unpack(f"<{len(self.data) // WIDTH[self.dtype]}{code}", self.data))


def tensor(dtype, shape, values):
    values = list(values)
    if dtype == "BF16":  # round to nearest, ties to even
        bits = struct.unpack(f"<{len(values)}I", struct.pack(f"<{len(values)}f", *values))
        return Tensor(dtype, shape, struct.pack(f"<{len(bits)}H", *((bit + 0x7FFF + (bit >> 16 & 1)) >> 16 for bit in bits)))
    code = {"F64": "d", "I64": "q", "F32": "f", "I32": "i", "F16": "e", "I8": "b", "U8": "B"}[dtype]
    return Tensor(dtype, shape, struct.pack(f"<{len(values)}{code}", *values))


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    start = 8 + size
    return {name: Tensor(entry["dtype"], entry["shape"], data[start + entry["data_offsets"][0]:start + entry["data_offsets"][1]])
            for name, entry in header.items()}


def write_safetensors(path, tensors):
    order = sorted(tensors, key=lambda name: (-WIDTH[tensors[name].dtype], name))
    header, offset = {}, 0
    for name in order:
        held = tensors[name]
        header[name] = {"dtype": held.dtype, "shape": held.shape, "data_offsets": [offset, offset + len(held.data)]}
        offset += len(held.data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(tensors[name].data for name in order)


def copy_of(source, target):
    """With the modes that a download has, whatever those of the source."""
    shutil.copytree(source, target)
    for folder, _, files in os.walk(target):
        os.chmod(folder, 0o755)
        for name in files:
            os.chmod(os.path.join(folder, name), 0o644)
    return target


class Checkpoint:
    """One weight file. Changes go to disk with write()."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        names = sorted(os.listdir(folder))
        self.weights = next(name for name in names if name.endswith(".safetensors"))
        self.described = next((name for name in names if name.startswith("quant_model_description")), None)
        self.tensors = read_safetensors(self.folder / self.weights)
        self.config = json.loads((self.folder / "config.json").read_text())
        self.description = json.loads((self.folder / self.described).read_text()) if self.described else {}

    def write(self):
        write_safetensors(self.folder / self.weights, self.tensors)
        (self.folder / "config.json").write_text(json.dumps(self.config, indent=2))
        if self.described:
            (self.folder / self.described).write_text(json.dumps(self.description, indent=2))

    def quant_type(self):
        return self.description.get("model_quant_type", "W8A8")

    def dequantize(self, module, described=True):
        """Turns one linear back into a float one."""
        codes = self.tensors[f"{module}.weight"]
        rows, columns = codes.shape
        if f"{module}.deq_scale" in self.tensors:
            scale = deq_values(self.tensors[f"{module}.deq_scale"])
            step = self.tensors[f"{module}.input_scale"].values()[0]
            scale = [value / step for value in scale]
        else:
            scale = self.tensors[f"{module}.weight_scale"].values()
        values = codes.values()
        floats = [values[i * columns + j] * scale[i] for i in range(rows) for j in range(columns)]
        for name in [name for name in self.tensors if name.startswith(module + ".") and not name.endswith(".bias")]:
            del self.tensors[name]
        dtype = {"bfloat16": "BF16", "float16": "F16"}.get(self.config.get("torch_dtype"), "F32")
        self.tensors[f"{module}.weight"] = tensor(dtype, [rows, columns], floats)
        if not described:
            return
        for key in [key for key in self.description if key.startswith(module + ".")]:
            if key.endswith((".weight", ".bias")):
                self.description[key] = "FLOAT"
            else:
                del self.description[key]


def deq_values(scale):
    """A deq_scale as values, whatever its flavour."""
    if scale.dtype != "I64":
        return scale.values()
    bits = [value & 0xFFFFFFFF for value in scale.values()]
    return list(struct.unpack(f"<{len(bits)}f", struct.pack(f"<{len(bits)}I", *bits)))


def deq_tensor(dtype, values):
    if dtype != "I64":
        return tensor("F32", [len(values)], values)
    bits = struct.unpack(f"<{len(values)}i", struct.pack(f"<{len(values)}f", *values))
    return tensor("I64", [len(values)], bits)


def row_sums(codes):
    rows, columns = codes.shape
    values = codes.values()
    return [math.fsum(values[i * columns:(i + 1) * columns]) for i in range(rows)]
