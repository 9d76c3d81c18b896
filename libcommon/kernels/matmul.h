// Dot products and matrix products whose every element has one value: the same bits for any number
// of rows, columns or threads and any instruction set.
//
// A float dot product runs in 16 lanes: lane l sums a[i] * b[i] over i = l (mod 16) in rising
// order, each step one fused multiply-add from 0; then lanes fold 16 -> 8 -> 4 -> 2 -> 1, upper
// half onto lower. The tail counts as zeros.
#pragma once

#include <cstdint>

#include "parallel/thread_pool.h"
#include "tensor/tensor.h"

namespace slim {

float Dot(const float* a, const float* b, uint64_t k);

// y[i, j] = Dot(x[i], w[j]). x is [t, k] and y [t, n] in float32; w is [n, k] in F32, BF16 or F16,
// unaligned if it must.
void MatMul(const float* x, uint64_t t, const TensorView& w, float* y, ThreadPool& pool);

}  // namespace slim
