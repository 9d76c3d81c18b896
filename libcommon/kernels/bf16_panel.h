// Products of a few rows of bf16 with one panel of packed bf16 weights, by instructions that take
// pairs of them. Internal to kernels: packed_matmul.h is the front.
#pragma once

#include "kernels/dot_panel.h"

namespace slim {

using Bf16Kernels = DotKernels<float>;

// For CurrentIsa() on this processor; null where it has no such instruction.
const Bf16Kernels* FindBf16Kernels();

}  // namespace slim
