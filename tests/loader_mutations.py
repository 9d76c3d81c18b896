"""Checkpoints altered as users and tools alter them, one function an alteration; the outcomes of the real loaders with each of them
are in testdata/loaders/truth.tsv. A KeyError or StopIteration says that an alteration does not apply to a checkpoint."""

import json
import os
import shutil

from checkpoint_files import Tensor, deq_tensor, deq_values, row_sums, tensor, write_safetensors

Q = "model.layers.0.self_attn.q_proj"
V = "model.layers.0.self_attn.v_proj"
O = "model.layers.0.self_attn.o_proj"
QKV = tuple(f"model.layers.0.self_attn.{leaf}_proj" for leaf in "qkv")
GATE = "model.layers.0.mlp.gate_proj"

ALTERATIONS = {}


def alteration(function):
    ALTERATIONS[function.__name__.replace("_", "-")] = function
    return function


def old_name(c):
    return c.folder / f"quant_model_description_{c.quant_type().lower()}.json"


def reshape(c, suffixes, shape):
    for name, held in c.tensors.items():
        if name.endswith(suffixes):
            held.shape = shape(held.shape)


def set_global(**values):
    def change(c):
        for key, value in values.items():
            c.description.pop(key, None)
            if value is not None:
                c.description[key] = value
    return change


def drop_entries(*keys):
    def change(c):
        for key in keys:
            c.description.pop(key)
    return change


def relabel(c, label):
    """Every quantized tensor as of another type."""
    c.description.update({key: label for key in c.tensors if c.description.get(key, "FLOAT") != "FLOAT"})
    c.description["model_quant_type"] = label


def add_linear(c, module, label):
    """A layer with the tensors of q_proj under another name."""
    for name in [name for name in c.tensors if name.startswith(Q + ".") and not name.endswith(".bias")]:
        added = module + name[len(Q):]
        c.tensors[added] = c.tensors[name]
        c.description[added] = label


def drop_tensor(name):
    return lambda c: c.tensors.pop(name)


ALTERATIONS.update({
    "base": lambda c: None,
    "desc-missing-q-weight": drop_entries(Q + ".weight"),
    "desc-missing-o-weight": drop_entries(O + ".weight"),
    "desc-missing-embed": drop_entries("model.embed_tokens.weight"),
    "desc-missing-lm-head": drop_entries("lm_head.weight"),
    "desc-missing-norms": lambda c: drop_entries(*[key for key in c.description if "norm" in key])(c),
    "desc-missing-dynamic-bias": lambda c: drop_entries(*[key for key in c.description if key.endswith("_proj.bias")])(c),
    "q-float-rest-quantized": lambda c: c.dequantize(Q),
    "gate-float-up-quantized": lambda c: c.dequantize(GATE),
    "o-float": lambda c: c.dequantize(O),
    "label-float-tensor-int8": lambda c: c.description.update({name + ".weight": "FLOAT" for name in QKV}),
    "tensor-float-label-quantized": lambda c: [c.dequantize(name, described=False) for name in QKV],
    "unknown-label": lambda c: c.description.update({O + ".weight": "W7A7"}),
    "lower-case-label": lambda c: c.description.update({O + ".weight": c.description[O + ".weight"].lower()}),
    "missing-deq-scale": drop_tensor(Q + ".deq_scale"),
    "missing-weight-scale": drop_tensor(Q + ".weight_scale"),
    "missing-quant-bias": drop_tensor(Q + ".quant_bias"),
    "missing-o-weight": drop_tensor(O + ".weight"),
    "weight-scale-1d": lambda c: reshape(c, ".weight_scale", lambda shape: shape[:1]),
    "deq-scale-2d": lambda c: reshape(c, ".deq_scale", lambda shape: [*shape, 1]),
    "input-scale-scalar": lambda c: reshape(c, (".input_scale", ".input_offset"), lambda shape: []),
    "input-offset-out-of-range": lambda c: c.tensors.update({Q + ".input_offset": tensor("F32", [1], [200.0])}),
    "kv-cache-type-only": set_global(kv_quant_type=None, kv_cache_type="C8"),
    "kv-quant-type-only": set_global(kv_cache_type=None, kv_quant_type="C8"),
    "kv-both-keys": set_global(kv_cache_type="C8", kv_quant_type="C8"),
    "group-size-odd": set_global(group_size=48),
    "group-size-minus-one": set_global(group_size=-1),
    "group-size-absent": set_global(group_size=None),
    "model-quant-type-float": set_global(model_quant_type="FLOAT"),
    "model-quant-type-absent": set_global(model_quant_type=None),
    "quantize-upper-case": lambda c: c.config.update(quantize=c.quant_type()),
    "quantize-other-scheme": lambda c: c.config.update(quantize="w8a8_dynamic" if c.quant_type() == "W8A8" else "w8a8"),
    "quantization-config-fp8-left": lambda c: c.config.update(
        quantization_config={"quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3", "weight_block_size": [128, 128]}),
    "quantization-config-no-method": lambda c: c.config.update(quantization_config={"group_size": 0, "kv_quant_type": None}),
    "dtype-key-only": lambda c: c.config.update(dtype=c.config.pop("torch_dtype")),
    "no-dtype": lambda c: c.config.pop("torch_dtype"),
    "torch-dtype-switched": lambda c: c.config.update(
        torch_dtype={"bfloat16": "float16", "float16": "bfloat16"}.get(c.config["torch_dtype"], "bfloat16")),
    "extra-tensor": lambda c: c.tensors.update(
        {"model.layers.0.self_attn.heads_rotation": tensor("F32", [4, 4], [float(i % 5 == 0) for i in range(16)])}),
})


@alteration
def old_name_no_quantize(c):
    os.rename(c.folder / c.described, old_name(c))
    c.described = old_name(c).name


@alteration
def old_name_with_quantize(c):
    c.config["quantize"] = c.quant_type().lower()
    old_name_no_quantize(c)


@alteration
def both_names(c):
    shutil.copy(c.folder / c.described, old_name(c))


@alteration
def no_description(c):
    (c.folder / c.described).unlink()
    c.described = None


@alteration
def o_dynamic_rest_static(c):
    step = c.tensors[O + ".input_scale"].values()[0]
    scale = [value / step for value in deq_values(c.tensors[O + ".deq_scale"])]
    for leaf in ("deq_scale", "input_scale", "input_offset", "quant_bias"):
        del c.tensors[f"{O}.{leaf}"], c.description[f"{O}.{leaf}"]
    c.tensors[O + ".weight_scale"] = tensor("F32", [len(scale), 1], scale)
    c.tensors[O + ".weight_offset"] = tensor("F32", [len(scale), 1], [0.0] * len(scale))
    c.description.update({f"{O}.{leaf}": "W8A8_DYNAMIC" for leaf in ("weight", "weight_scale", "weight_offset")})


@alteration
def qkv_input_scale_differs(c):
    """v_proj alone gets twice the input scale, its other tensors refitted."""
    c.tensors[V + ".input_scale"] = tensor("F32", [1], [2 * c.tensors[V + ".input_scale"].values()[0]])
    deq = c.tensors[V + ".deq_scale"]
    c.tensors[V + ".deq_scale"] = deq_tensor(deq.dtype, [2 * value for value in deq_values(deq)])
    offset = c.tensors[V + ".input_offset"].values()[0]
    shifts = [offset * total for total in row_sums(c.tensors[V + ".weight"])]
    bias = c.tensors[V + ".quant_bias"].values()
    c.tensors[V + ".quant_bias"] = tensor("I32", [len(bias)], [round((old + shift) / 2 - shift) for old, shift in zip(bias, shifts)])


@alteration
def deq_scale_other_flavour(c):
    for name in [name for name in c.tensors if name.endswith(".deq_scale")]:
        deq = c.tensors[name]
        c.tensors[name] = deq_tensor("F32" if deq.dtype == "I64" else "I64", deq_values(deq))


@alteration
def missing_weight_offset(c):
    for name in [name for name in c.tensors if name.endswith(".weight_offset")]:
        del c.tensors[name]


def shorten(c, name):
    held = c.tensors[name]
    row = len(held.data) // held.shape[0]
    c.tensors[name] = Tensor(held.dtype, [held.shape[0] - 8, *held.shape[1:]], held.data[:-8 * row])


@alteration
def weight_scale_short(c):
    shorten(c, Q + ".weight_scale")


@alteration
def deq_scale_short(c):
    shorten(c, Q + ".deq_scale")


@alteration
def leftover_index_other_file(c):
    (c.folder / "model.safetensors.index.json").write_text(json.dumps(
        {"metadata": {}, "weight_map": {"model.embed_tokens.weight": "model-00001-of-00002.safetensors"}}))


@alteration
def correct_model_index(c):
    (c.folder / "model.safetensors.index.json").write_text(json.dumps(
        {"metadata": {}, "weight_map": {name: c.weights for name in c.tensors}}))


@alteration
def duplicate_tensor(c):
    write_safetensors(c.folder / "zz_second.safetensors", {"model.norm.weight": c.tensors["model.norm.weight"]})


@alteration
def stray_float_shard(c):
    codes = c.tensors[O + ".weight"]
    write_safetensors(c.folder / "model.safetensors", {O + ".weight": tensor("BF16", codes.shape, map(float, codes.values()))})


@alteration
def extra_linear_bias(c):
    rows = c.tensors[O + ".weight"].shape[0]
    c.tensors[O + ".bias"] = tensor("F32", [rows], [1.0] * rows)
    c.description[O + ".bias"] = c.description[O + ".weight"]


@alteration
def norm_bias(c):
    weight = c.tensors["model.layers.0.input_layernorm.weight"]
    c.tensors["model.layers.0.input_layernorm.bias"] = tensor(weight.dtype, weight.shape, [0.25] * weight.shape[0])
    c.description["model.layers.0.input_layernorm.bias"] = "FLOAT"


@alteration
def lm_head_int8(c):
    weight = c.tensors["lm_head.weight"]
    rows, columns = weight.shape
    values = weight.values()
    scales = [max(map(abs, values[i * columns:(i + 1) * columns])) / 127 for i in range(rows)]
    codes = [round(values[i * columns + j] / scales[i]) for i in range(rows) for j in range(columns)]
    c.tensors["lm_head.weight"] = tensor("I8", [rows, columns], codes)
    c.tensors["lm_head.weight_scale"] = tensor("F32", [rows, 1], scales)
    c.tensors["lm_head.weight_offset"] = tensor("F32", [rows, 1], [0.0] * rows)
    c.description.update({f"lm_head.{leaf}": "W8A8_DYNAMIC" for leaf in ("weight", "weight_scale", "weight_offset")})


@alteration
def tied_lm_head_absent(c):
    c.config["tie_word_embeddings"] = True
    del c.tensors["lm_head.weight"]
    c.description.pop("lm_head.weight", None)


@alteration
def nonzero_weight_offset(c):
    for name in [name for name in c.tensors if name.endswith("_proj.weight_offset")]:
        held = c.tensors[name]
        c.tensors[name] = tensor(held.dtype, held.shape, [3.0] * held.shape[0])


# What spoils files as they lie on disk, once everything else is written.
ON_DISK = {
    "truncated-shard": lambda c: os.truncate(c.folder / c.weights, os.path.getsize(c.folder / c.weights) - 1000),
    "broken-description-json": lambda c: os.truncate(c.folder / c.described, os.path.getsize(c.folder / c.described) // 2),
    "other-writable": lambda c: os.chmod(c.folder / c.weights, 0o666),
}
