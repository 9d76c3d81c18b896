// Dot products and matrix products whose every element has one value: the same bits for any number
// of rows, columns or threads and any instruction set.
//
// A float dot product runs in 16 lanes: lane l sums a[i] * b[i] over i = l (mod 16) in rising
// order, each step one fused multiply-add from 0; then lanes fold 16 -> 8 -> 4 -> 2 -> 1, upper
// half onto lower. The tail counts as zeros.
#pragma once

#include <cstdint>
#include <functional>

#include "parallel/thread_pool.h"
#include "tensor/tensor.h"

namespace slim {

float Dot(const float* a, const float* b, uint64_t k);

// y[i, j] = Dot(x[i], w[j]). x is [t, k] and y [t, n] in float32; w is [n, k] in F32, BF16 or F16,
// unaligned if it must.
void MatMul(const float* x, uint64_t t, const TensorView& w, float* y, ThreadPool& pool);

// y[i, j] = sum over k of x[i, k] * w[j, k], exact; x is [t, k], w is [n, k], y is [t, n]; k <=
// 2^16.
void MatMulInt8(const int8_t* x, uint64_t t, const int8_t* w, uint64_t n, uint64_t k, int32_t* y,
                ThreadPool& pool);

// Some of these sums: [rows, columns], of rows row, row + 1, … of x and columns column, … of y.
struct Int8Sums {
  const int32_t* sums;
  uint64_t row;
  uint64_t rows;
  uint64_t column;
  uint64_t columns;
};
using Int8SumsVisitor = std::function<void(const Int8Sums& block)>;

// MatMulInt8 without y: every block of sums goes to `visit` while it is in the cache, on any thread
// of the pool.
void MatMulInt8Blocks(const int8_t* x, uint64_t t, const int8_t* w, uint64_t n, uint64_t k,
                      ThreadPool& pool, const Int8SumsVisitor& visit);

}  // namespace slim
