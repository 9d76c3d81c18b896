#!/usr/bin/env python3
"""Makes testdata/golden/run/quantized-linears.safetensors: what the judge (../shared/judge/emulate.py) computes for
quantized linears of golden checkpoints, given inputs with ties, outliers and a row of zeros.

  make_quantized_linears.py OUTPUT

Tensors are named CHECKPOINT:MODULE.PART with the parts x [t, k] F32, y [t, n] F32 and, for W8A8 types, codes [t, k] I8.
"""

import os
import sys

import numpy
import torch
from safetensors.numpy import save_file

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOLDEN = os.path.join(ROOT, "testdata", "golden")
CHECKPOINTS = (
    "one-click/mini-qwen2-bfloat16/w8a8-static-all", "one-click/mini-qwen2-bfloat16/w8a8-dynamic",
    "one-click/mini-qwen2-bfloat16/w8a16", "one-click/mini-qwen3-float16/mindie-w8a8-static",
    "one-click/mini-qwen3-float16/mindie-w8a8-dynamic", "traditional/mini-qwen2-bfloat16/a0-w8a8-m4",
    "traditional/mini-qwen2-bfloat16/a0-w8a16-asym",
)
MODULES = ("model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.o_proj", "model.layers.1.mlp.down_proj",
           "model.layers.1.mlp.up_proj")


def inputs(layer, generator):
    """Rows: heavy tails, rounding ties of a static scale, zeros, one outlier that saturates."""
    k = layer.w.shape[1]
    x = torch.randn(4, k, generator=generator) * torch.exp(torch.randn(4, k, generator=generator))
    scale = layer.s.float().item() if layer.s is not None else 2.0 ** -5
    x[1] = (torch.randint(-90, 90, (k,), generator=generator).float() + 0.5) * scale
    x[2] = 0
    x[3, k // 2] = 400 * scale
    return x


def codes_of(layer, x):
    """The judge's own codes: the layer with an identity weight and unit scales gives them back."""
    static = layer.label == "W8A8"
    keep = layer.w, layer.ws, layer.deq, layer.qb, layer.bias
    k = layer.w.shape[1]
    layer.w, layer.ws, layer.deq = torch.eye(k), torch.ones(k), torch.ones(k)
    layer.qb, layer.bias = torch.zeros(k), None
    y = layer(x)
    layer.w, layer.ws, layer.deq, layer.qb, layer.bias = keep
    if static:
        return y
    scales = x.abs().amax(-1, keepdim=True) / 127
    return torch.round(y / torch.where(scales == 0, torch.ones_like(scales), scales))


def linears(judge):
    generator = torch.Generator().manual_seed(11)
    found = {}
    for checkpoint in CHECKPOINTS:
        tensors, description = judge.read(os.path.join(GOLDEN, checkpoint))
        for module in MODULES:
            label = description[module + ".weight"]
            if label == "FLOAT":
                continue
            layer = judge.QLinear(module, tensors, label, description.get("version"))
            x = inputs(layer, generator)
            name = f"{checkpoint}:{module}"
            with torch.no_grad():
                found[name + ".x"] = x.numpy()
                found[name + ".y"] = layer(x).numpy()
                if label.startswith("W8A8"):
                    found[name + ".codes"] = codes_of(layer, x).to(torch.int8).numpy()
    return {name: numpy.ascontiguousarray(tensor) for name, tensor in found.items()}


if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(ROOT), "shared", "judge"))
    import emulate
    save_file(linears(emulate), sys.argv[1])
