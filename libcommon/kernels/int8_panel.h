// Exact int8 products of a few rows with one panel of packed weights. Internal to kernels:
// packed_matmul.h is the front.
#pragma once

#include "kernels/dot_panel.h"

namespace slim {

// Sums of a row start from -kCodeShift times the sum of its codes.
using Int8Kernels = DotKernels<int32_t>;

// For CurrentIsa() on this processor.
const Int8Kernels& ChooseInt8Kernels();

}  // namespace slim
