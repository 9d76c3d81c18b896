// Products with packed weights (kernels/packed_matrix.h), spread over threads by panels and rows.
#pragma once

#include <cstdint>
#include <functional>

#include "kernels/packed_matrix.h"
#include "parallel/thread_pool.h"

namespace slim {

// y[i, j] = sum over k of x[i, k] * w[j, k] in float32, by rising k, each step one fused
// multiply-add: the same bits on any machine, but others than those of MatMul (kernels/matmul.h).
// x is [t, k], y [t, n]; w is F32, BF16 or F16.
void MatMulPacked(const float* x, uint64_t t, const PackedMatrix& w, float* y, ThreadPool& pool);

// Some sums of an integer product: [rows, columns], of rows row, row + 1, … of x and columns
// column, … of y.
struct Int8Sums {
  const int32_t* sums;
  uint64_t stride;  // from one row to the next
  uint64_t row;
  uint64_t rows;
  uint64_t column;
  uint64_t columns;
};
using Int8SumsVisitor = std::function<void(const Int8Sums& block)>;

// sum over k of x[i, k] * w[j, k], exact, for all i < t and j < n: every block of sums goes to
// `visit` while it is in the cache, on any thread of the pool. x is [t, k], w is I8; k <= 2^16.
void MatMulInt8Packed(const int8_t* x, uint64_t t, const PackedMatrix& w, ThreadPool& pool,
                      const Int8SumsVisitor& visit);

// y[i, j] = that sum, for codes w [n, k] that are needed once: they are packed on the way.
void MatMulInt8(const int8_t* x, uint64_t t, const int8_t* w, uint64_t n, uint64_t k, int32_t* y,
                ThreadPool& pool);

}  // namespace slim
