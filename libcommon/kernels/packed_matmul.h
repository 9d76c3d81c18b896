// Products with packed weights (kernels/packed_matrix.h), spread over threads by panels and rows.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kernels/packed_matrix.h"
#include "parallel/thread_pool.h"

namespace slim {

// y[i, j] = sum over k of x[i, k] * w[j, k] in float32, by rising k, each step one fused
// multiply-add: the same bits on any machine, but others than those of MatMul (kernels/matmul.h).
// x is [t, k], y [t, n]; w is F32, BF16 or F16.
void MatMulPacked(const float* x, uint64_t t, const PackedMatrix& w, float* y, ThreadPool& pool);

// The same for x rounded to bf16 and w BF16. A processor with instructions for products of bf16
// (AVX512_BF16) makes the sums with them, two products a step, subnormal numbers taken as zeros:
// the bits depend on the processor, not on threads or rows.
void MatMulBf16(const float* x, uint64_t t, const PackedMatrix& w, float* y, ThreadPool& pool);

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

// Writes the codes of rows row .. row + rows - 1 of x to [rows, k].
using CodesOfRows = std::function<void(uint64_t row, uint64_t rows, int8_t* codes)>;

// Codes x [t, k] as exact products take them, made once for all weights that x goes with. Kept and
// packed again, it allocates nothing.
class PackedCodes {
 public:
  // `codes_of` is called for blocks of a few rows, on any thread of the pool.
  void Pack(uint64_t t, uint64_t k, const CodesOfRows& codes_of, ThreadPool& pool);
  void Pack(const int8_t* x, uint64_t t, uint64_t k, ThreadPool& pool);

  uint64_t t() const { return t_; }
  uint64_t k() const { return k_; }
  // Of rows row .. row + rows - 1, `row` a multiple of the rows of a block.
  const std::byte* block(uint64_t row) const { return steps_.data() + row * row_bytes_; }
  // What the sums of row `row` start from.
  const int32_t* starts(uint64_t row) const { return starts_.data() + row; }

 private:
  uint64_t t_ = 0;
  uint64_t k_ = 0;
  uint64_t row_bytes_ = 0;
  std::vector<std::byte> steps_;
  std::vector<int32_t> starts_;
};

// sum over k of x[i, k] * w[j, k], exact, for all i < t and j < n: every block of sums goes to
// `visit` while it is in the cache, on any thread of the pool. w is I8 of x's k; k <= 2^16.
void MatMulInt8Packed(const PackedCodes& x, const PackedMatrix& w, ThreadPool& pool,
                      const Int8SumsVisitor& visit);

// The same for two matrices of one shape: the blocks of both that cover the same elements go to
// `visit` together.
using Int8SumsPairVisitor = std::function<void(const Int8Sums& first, const Int8Sums& second)>;
void MatMulInt8PackedPair(const PackedCodes& x, const PackedMatrix& first,
                          const PackedMatrix& second, ThreadPool& pool,
                          const Int8SumsPairVisitor& visit);

// y[i, j] = that sum, for codes w [n, k] that are needed once: they are packed on the way.
void MatMulInt8(const int8_t* x, uint64_t t, const int8_t* w, uint64_t n, uint64_t k, int32_t* y,
                ThreadPool& pool);

}  // namespace slim
