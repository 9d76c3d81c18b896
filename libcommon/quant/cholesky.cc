#include "quant/cholesky.h"

#include <algorithm>
#include <cmath>

#include "kernels/matmul.h"
#include "kernels/reduce.h"

namespace slim {
namespace {

constexpr uint64_t kPanel = 128;  // columns that are factored at a time
constexpr uint64_t kRowsPerTask = 16;
constexpr uint64_t kTrailingRows = 256;

// L of the square [begin, end) where the columns before are taken off, and its inverse [width,
// width]; false when the matrix is not positive definite.
bool FactorSquare(std::vector<float>& a, uint64_t k, uint64_t begin, uint64_t end,
                  std::vector<float>& inverse) {
  const uint64_t width = end - begin;
  inverse.assign(width * width, 0.0F);
  for (uint64_t i = begin; i < end; ++i) {
    float* row = a.data() + i * k + begin;
    for (uint64_t j = begin; j < i; ++j) {
      const float* other = a.data() + j * k + begin;
      row[j - begin] = (row[j - begin] - Dot(row, other, j - begin)) / other[j - begin];
    }
    const float square = row[i - begin] - Dot(row, row, i - begin);
    if (!(square > 0)) return false;
    row[i - begin] = std::sqrt(square);
    // Row i of the inverse from the rows above it.
    float* mine = inverse.data() + (i - begin) * width;
    for (uint64_t m = 0; m < i - begin; ++m) {
      for (uint64_t j = 0; j <= m; ++j) mine[j] -= row[m] * inverse[m * width + j];
    }
    for (uint64_t j = 0; j < i - begin; ++j) mine[j] /= row[i - begin];
    mine[i - begin] = 1.0F / row[i - begin];
  }
  return true;
}

// The columns [begin, end) of L below their square, [k − end, end − begin].
std::vector<float> SolvePanel(std::vector<float>& a, uint64_t k, uint64_t begin, uint64_t end,
                              const std::vector<float>& inverse, ThreadPool& pool) {
  const uint64_t width = end - begin;
  std::vector<float> wanted((k - end) * width);
  for (uint64_t i = end; i < k; ++i)
    std::copy_n(a.data() + i * k + begin, width, wanted.data() + (i - end) * width);
  std::vector<float> panel(wanted.size());
  MatMul(wanted.data(), k - end, {DType::kF32, {width, width}, std::as_bytes(std::span(inverse))},
         panel.data(), pool);
  for (uint64_t i = end; i < k; ++i)
    std::copy_n(panel.data() + (i - end) * width, width, a.data() + i * k + begin);
  return panel;
}

// What a panel takes off the rows and columns behind it.
void SubtractPanel(std::vector<float>& a, uint64_t k, uint64_t end, const std::vector<float>& panel,
                   ThreadPool& pool) {
  const uint64_t behind = k - end;
  if (behind == 0) return;
  const uint64_t width = panel.size() / behind;
  std::vector<float> product(std::min(behind, kTrailingRows) * behind);
  for (uint64_t first = 0; first < behind; first += kTrailingRows) {
    const uint64_t last = std::min(first + kTrailingRows, behind);
    const auto columns = std::span(panel).first(last * width);
    MatMul(panel.data() + first * width, last - first,
           {DType::kF32, {last, width}, std::as_bytes(columns)}, product.data(), pool);
    pool.ParallelFor(last - first, kRowsPerTask, [&](uint64_t from, uint64_t to) {
      for (uint64_t i = from; i < to; ++i) {
        float* row = a.data() + (end + first + i) * k + end;
        for (uint64_t j = 0; j <= first + i; ++j) row[j] -= product[i * last + j];
      }
    });
  }
}

}  // namespace

bool CholeskyLower(std::vector<float>& a, uint64_t k, ThreadPool& pool) {
  std::vector<float> inverse;
  for (uint64_t begin = 0; begin < k; begin += kPanel) {
    const uint64_t end = std::min(begin + kPanel, k);
    if (!FactorSquare(a, k, begin, end, inverse)) return false;
    SubtractPanel(a, k, end, SolvePanel(a, k, begin, end, inverse, pool), pool);
  }
  return true;
}

std::vector<float> InvertLower(const std::vector<float>& l, uint64_t k, ThreadPool& pool) {
  std::vector<float> inverse(k * k);
  pool.ParallelFor(k, kRowsPerTask, [&](uint64_t first, uint64_t last) {
    for (uint64_t i = first; i < k; ++i) {
      const float* row = l.data() + i * k;
      for (uint64_t j = first; j < std::min(last, i + 1); ++j) {
        float* column = inverse.data() + j * k;
        column[i] = i == j ? 1.0F / row[i] : -Dot(row + j, column + j, i - j) / row[i];
      }
    }
  });
  return inverse;
}

std::vector<float> InverseOf(const std::vector<float>& inverse_lower, uint64_t k,
                             ThreadPool& pool) {
  std::vector<float> inverse(k * k);
  pool.ParallelFor(k, kRowsPerTask, [&](uint64_t first, uint64_t last) {
    for (uint64_t i = first; i < last; ++i) {
      for (uint64_t j = 0; j < k; ++j) {
        const uint64_t from = std::max(i, j);
        inverse[i * k + j] =
            Dot(inverse_lower.data() + i * k + from, inverse_lower.data() + j * k + from, k - from);
      }
    }
  });
  return inverse;
}

}  // namespace slim
