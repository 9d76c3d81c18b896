#include "run/log_probabilities.h"

#include <algorithm>
#include <numeric>

#include "kernels/exp_rows.h"

namespace slim {

LogProbabilities::LogProbabilities(std::span<const float> logits)
    : logits_(logits), normalizer_(LogSumExp(logits.data(), logits.size())) {}

std::vector<std::pair<int32_t, double>> LogProbabilities::Top(uint64_t count) const {
  std::vector<int32_t> ids(logits_.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto kept = static_cast<ptrdiff_t>(std::min<uint64_t>(count, ids.size()));
  std::partial_sort(ids.begin(), ids.begin() + kept, ids.end(), [&](int32_t a, int32_t b) {
    const float left = logits_[static_cast<size_t>(a)];
    const float right = logits_[static_cast<size_t>(b)];
    return left > right || (left == right && a < b);
  });
  std::vector<std::pair<int32_t, double>> top;
  for (ptrdiff_t i = 0; i < kept; ++i)
    top.emplace_back(ids[static_cast<size_t>(i)], Of(ids[static_cast<size_t>(i)]));
  return top;
}

}  // namespace slim
