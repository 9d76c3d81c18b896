#include "quant/cholesky.h"

#include <algorithm>
#include <cmath>

#include "kernels/matmul.h"
#include "kernels/reduce.h"

namespace slim {
namespace {

constexpr uint64_t kTile = 32;
constexpr uint64_t kRowsPerTask = 16;

}  // namespace

bool CholeskyLower(std::vector<float>& a, uint64_t k, ThreadPool& pool) {
  const auto element = [&](uint64_t i, uint64_t j) {
    return a[i * k + j] - Dot(a.data() + i * k, a.data() + j * k, j);
  };
  for (uint64_t begin = 0; begin < k; begin += kTile) {
    const uint64_t end = std::min(begin + kTile, k);
    for (uint64_t i = begin; i < end; ++i) {
      for (uint64_t j = begin; j < i; ++j) a[i * k + j] = element(i, j) / a[j * k + j];
      const float square = element(i, i);
      if (!(square > 0)) return false;
      a[i * k + i] = std::sqrt(square);
    }
    pool.ParallelFor(k - end, kRowsPerTask, [&](uint64_t first, uint64_t last) {
      for (uint64_t i = end + first; i < end + last; ++i) {
        for (uint64_t j = begin; j < end; ++j) a[i * k + j] = element(i, j) / a[j * k + j];
      }
    });
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
