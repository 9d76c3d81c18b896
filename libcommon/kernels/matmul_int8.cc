#include <algorithm>
#include <cassert>
#include <vector>

#include "kernels/int8_dot.h"
#include "kernels/matmul.h"
#include "kernels/matmul_tile.h"
#include "kernels/reduce.h"

namespace slim {
namespace {

// Rows of x whose sums are made before they are handed on: with the widest tile they fill a quarter
// of the second-level cache, and every body of int8_dot.cc divides them into its own blocks.
constexpr uint64_t kRowsInBlock = 48;

// Kept by every thread, so that a call allocates nothing.
std::vector<int32_t>& RowSums(const int8_t* x, uint64_t t, uint64_t k) {
  thread_local std::vector<int32_t> x_sum;
  x_sum.resize(t);
  for (uint64_t i = 0; i < t; ++i) x_sum[i] = SumInt8(x + i * k, k);
  return x_sum;
}

}  // namespace

void MatMulInt8(const int8_t* x, uint64_t t, const int8_t* w, uint64_t n, uint64_t k, int32_t* y,
                ThreadPool& pool) {
  assert(k <= (uint64_t{1} << 16));
  const int32_t* x_sum = RowSums(x, t, k).data();
  const Int8BlockFunction multiply = ChooseInt8Block();
  pool.ParallelFor(n, TileRows(n, k / 4, pool.threads()), [&](uint64_t begin, uint64_t end) {
    multiply({x, x_sum, t, w + begin * k, end - begin, k, y + begin, n});
  });
}

void MatMulInt8Blocks(const int8_t* x, uint64_t t, const int8_t* w, uint64_t n, uint64_t k,
                      ThreadPool& pool, const Int8SumsVisitor& visit) {
  assert(k <= (uint64_t{1} << 16));
  const int32_t* x_sum = RowSums(x, t, k).data();
  const Int8BlockFunction multiply = ChooseInt8Block();
  pool.ParallelFor(n, TileRows(n, k / 4, pool.threads()), [&](uint64_t begin, uint64_t end) {
    thread_local std::vector<int32_t> sums;
    const uint64_t columns = end - begin;
    sums.resize(std::min(t, kRowsInBlock) * columns);
    for (uint64_t row = 0; row < t; row += kRowsInBlock) {
      const uint64_t rows = std::min(kRowsInBlock, t - row);
      multiply({x + row * k, x_sum + row, rows, w + begin * k, columns, k, sums.data(), columns});
      visit({sums.data(), row, rows, begin, columns});
    }
  });
}

}  // namespace slim
