#include "quant/hadamard.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace slim {
namespace {

constexpr uint32_t kSeed = 1234;

bool IsPrime(uint64_t n) {
  if (n < 2) return false;
  for (uint64_t i = 2; i * i <= n; ++i) {
    if (n % i == 0) return false;
  }
  return true;
}

// Jacobsthal matrix entry: 1 where j − i is a square modulo the prime q, −1 where it is none, 0 on
// the diagonal.
std::vector<int8_t> Residues(uint64_t q) {
  std::vector<int8_t> character(q, -1);
  character[0] = 0;
  for (uint64_t i = 1; i < q; ++i) character[i * i % q] = 1;
  return character;
}

// Paley's first construction, order q + 1, q ≡ 3 (mod 4).
std::vector<int8_t> PaleyOne(uint64_t q) {
  const std::vector<int8_t> character = Residues(q);
  const uint64_t k = q + 1;
  std::vector<int8_t> h(k * k, 1);
  for (uint64_t i = 1; i < k; ++i) {
    h[i * k] = -1;
    for (uint64_t j = 1; j < k; ++j) h[i * k + j] = i == j ? int8_t{1} : character[(j + q - i) % q];
  }
  return h;
}

// Paley's second construction, order 2 (q + 1), q ≡ 1 (mod 4).
std::vector<int8_t> PaleyTwo(uint64_t q) {
  const std::vector<int8_t> character = Residues(q);
  const uint64_t half = q + 1;
  const uint64_t k = 2 * half;
  std::vector<int8_t> h(k * k);
  for (uint64_t i = 0; i < half; ++i) {
    for (uint64_t j = 0; j < half; ++j) {
      int8_t c = 1;
      if (i == j) {
        c = 0;
      } else if (i > 0 && j > 0) {
        c = character[(j + q - i) % q];
      }
      const int8_t quad[4] = {c, c, c, static_cast<int8_t>(-c)};
      const int8_t diagonal[4] = {1, -1, -1, -1};
      for (uint64_t e = 0; e < 4; ++e)
        h[(2 * i + e / 2) * k + 2 * j + e % 2] = i == j ? diagonal[e] : quad[e];
    }
  }
  return h;
}

// A Hadamard matrix of order k that is no multiple of a smaller one; empty where no prime fits.
std::vector<int8_t> PaleyMatrix(uint64_t k) {
  if (k >= 4 && (k - 1) % 4 == 3 && IsPrime(k - 1)) return PaleyOne(k - 1);
  if (k >= 4 && k % 2 == 0 && (k / 2 - 1) % 4 == 1 && IsPrime(k / 2 - 1))
    return PaleyTwo(k / 2 - 1);
  return {};
}

}  // namespace

Result<HadamardRotation> HadamardRotation::Create(uint64_t size, uint64_t block) {
  HadamardRotation rotation;
  rotation.size_ = size;
  rotation.block_ = block == 0 ? size : block;
  if (rotation.block_ == 0 || size % rotation.block_ != 0) {
    return UsageError(
        fmt::format("rotation blocks of {} do not divide {} channels", rotation.block_, size));
  }
  uint64_t odd = rotation.block_;
  while (odd % 2 == 0) odd /= 2;
  if (odd > 1) {
    for (uint64_t k = 4 * odd; k <= rotation.block_ && rotation.hadamard_.empty(); k *= 2) {
      rotation.hadamard_ = PaleyMatrix(k);
      rotation.order_ = k;
    }
    if (rotation.hadamard_.empty()) {
      return UsageError(
          fmt::format("no Hadamard matrix of order {} is known to slim", rotation.block_),
          "a block_size that is a power of two and divides the width can be used");
    }
  }
  std::mt19937 generator(kSeed);
  for (uint64_t i = 0; i < rotation.block_; ++i)
    rotation.signs_.push_back((generator() & 1U) != 0 ? 1.0F : -1.0F);
  rotation.scale_ = 1.0F / std::sqrt(static_cast<float>(rotation.block_));
  return rotation;
}

void HadamardRotation::TransformBlock(float* values, std::span<float> scratch) const {
  const uint64_t inner = block_ / order_;
  for (uint64_t i = 0; i < block_; ++i) values[i] *= signs_[i];
  for (uint64_t width = 1; width < inner; width *= 2) {
    for (uint64_t i = 0; i < block_; i += 2 * width) {
      for (uint64_t j = i; j < i + width; ++j) {
        const float sum = values[j] + values[j + width];
        values[j + width] = values[j] - values[j + width];
        values[j] = sum;
      }
    }
  }
  if (order_ > 1) {
    std::copy_n(values, block_, scratch.begin());
    for (uint64_t row = 0; row < order_; ++row) {
      float* out = values + row * inner;
      std::fill_n(out, inner, 0.0F);
      for (uint64_t column = 0; column < order_; ++column) {
        const float sign = hadamard_[row * order_ + column] > 0 ? 1.0F : -1.0F;
        const float* in = scratch.data() + column * inner;
        for (uint64_t i = 0; i < inner; ++i) out[i] += sign * in[i];
      }
    }
  }
  for (uint64_t i = 0; i < block_; ++i) values[i] *= scale_;
}

void HadamardRotation::ApplyToRow(float* row) const {
  std::vector<float> scratch(order_ > 1 ? block_ : 0);
  for (uint64_t i = 0; i < size_; i += block_) TransformBlock(row + i, scratch);
}

void HadamardRotation::ApplyToColumns(float* matrix, uint64_t columns, ThreadPool& pool) const {
  pool.ParallelFor(columns, 16, [&](uint64_t begin, uint64_t end) {
    std::vector<float> column(size_);
    for (uint64_t j = begin; j < end; ++j) {
      for (uint64_t i = 0; i < size_; ++i) column[i] = matrix[i * columns + j];
      ApplyToRow(column.data());
      for (uint64_t i = 0; i < size_; ++i) matrix[i * columns + j] = column[i];
    }
  });
}

std::vector<float> HadamardRotation::Matrix() const {
  std::vector<float> matrix(size_ * size_);
  for (uint64_t i = 0; i < size_; ++i) {
    matrix[i * size_ + i] = 1.0F;
    ApplyToRow(matrix.data() + i * size_);
  }
  return matrix;
}

}  // namespace slim
