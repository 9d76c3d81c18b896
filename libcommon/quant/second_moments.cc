#include "quant/second_moments.h"

#include <algorithm>

#include "kernels/matmul.h"

namespace slim {
namespace {

constexpr uint64_t kRowsAtATime = 256;
constexpr uint64_t kColumnsPerTask = 16;

}  // namespace

void SecondMoments::Add(const float* x, uint64_t t, uint64_t k, ThreadPool& pool) {
  k_ = k;
  importance_.resize(k);
  if (between_channels_) pending_.reserve(kTokensAtATime * k);
  for (uint64_t i = 0; i < t; ++i) {
    const float* row = x + i * k;
    for (uint64_t j = 0; j < k; ++j) importance_[j] += row[j] * row[j];
    if (!between_channels_) continue;
    pending_.insert(pending_.end(), row, row + k);
    if (pending_.size() == kTokensAtATime * k) AddPending(pool);
  }
}

void SecondMoments::Finish(ThreadPool& pool) {
  AddPending(pool);
  pending_ = {};
}

// H ← H · n / (n + t) + 2 / (n + t) · Σ x xᵀ.
void SecondMoments::AddPending(ThreadPool& pool) {
  if (pending_.empty()) return;
  const uint64_t k = k_;
  const uint64_t t = pending_.size() / k;
  matrix_.resize(k * k);
  const uint64_t seen = tokens_ + t;
  const float keep = static_cast<float>(tokens_) / static_cast<float>(seen);
  const float add = 2.0F / static_cast<float>(seen);
  tokens_ = seen;
  // Xᵀ, so that every moment is a dot product of two rows.
  std::vector<float> columns(k * t);
  pool.ParallelFor(k, kColumnsPerTask, [&](uint64_t first, uint64_t last) {
    for (uint64_t i = 0; i < t; ++i) {
      for (uint64_t j = first; j < last; ++j) columns[j * t + i] = pending_[i * k + j];
    }
  });
  pending_.clear();
  std::vector<float> product(std::min(k, kRowsAtATime) * k);
  for (uint64_t first = 0; first < k; first += kRowsAtATime) {
    const uint64_t last = std::min(first + kRowsAtATime, k);
    const auto before = std::span<const float>(columns).first(last * t);
    MatMul(columns.data() + first * t, last - first,
           {DType::kF32, {last, t}, std::as_bytes(before)}, product.data(), pool);
    pool.ParallelFor(last - first, kColumnsPerTask, [&](uint64_t from, uint64_t to) {
      for (uint64_t i = from; i < to; ++i) {
        float* row = matrix_.data() + (first + i) * k;
        const float* sums = product.data() + i * last;
        for (uint64_t j = 0; j <= first + i; ++j) row[j] = row[j] * keep + sums[j] * add;
      }
    });
  }
}

}  // namespace slim
