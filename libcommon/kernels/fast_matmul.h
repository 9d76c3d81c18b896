// The matrix product of the `fast` backend: summed in any order, so its bits may differ from
// MatMul's and between machines, but not with the number of threads.
#pragma once

#include <cstdint>

#include "parallel/thread_pool.h"
#include "tensor/tensor.h"

namespace slim {

// As MatMul: y [t, n] = x [t, k] times w [n, k] transposed; w is F32, BF16 or F16.
void FastMatMul(const float* x, uint64_t t, const TensorView& w, float* y, ThreadPool& pool);

}  // namespace slim
