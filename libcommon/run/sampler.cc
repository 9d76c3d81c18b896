#include "run/sampler.h"

#include <algorithm>
#include <cassert>

#include "kernels/math.h"

namespace slim {

uint64_t RandomNumbers::Next() {
  state_ += 0x9E3779B97F4A7C15ULL;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

double RandomNumbers::NextUnit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

int32_t ArgMax(std::span<const float> logits) {
  assert(!logits.empty());
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

int32_t Sampler::Pick(std::span<const float> logits) {
  if (options_.temperature <= 0) return ArgMax(logits);
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i)
    candidates_.push_back({logits[i], static_cast<int32_t>(i)});
  const double largest = *std::max_element(logits.begin(), logits.end());
  Filter();
  double total = 0;
  weights_.resize(candidates_.size());
  const auto weigh = [&] {
    total = 0;
    for (size_t i = 0; i < weights_.size(); ++i) {
      weights_[i] =
          ExpD((static_cast<double>(candidates_[i].logit) - largest) / options_.temperature);
      total += weights_[i];
    }
  };
  weigh();
  if (options_.top_p < 1) {
    double kept = 0;
    size_t count = 0;
    // At least one stays.
    do kept += weights_[count++];
    while (count < weights_.size() && kept < options_.top_p * total);
    weights_.resize(count);
    total = kept;
  }
  double rest = random_.NextUnit() * total;
  for (size_t i = 0; i < weights_.size(); ++i) {
    rest -= weights_[i];
    if (rest < 0) return candidates_[i].id;
  }
  return candidates_[weights_.size() - 1].id;
}

// Keeps the top_k; orders by falling logit where the order matters.
void Sampler::Filter() {
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  };
  const bool cut = options_.top_k > 0 && options_.top_k < candidates_.size();
  if (cut) {
    const auto middle = candidates_.begin() + static_cast<ptrdiff_t>(options_.top_k);
    std::nth_element(candidates_.begin(), middle - 1, candidates_.end(), before);
    candidates_.erase(middle, candidates_.end());
  }
  if (cut || options_.top_p < 1) std::sort(candidates_.begin(), candidates_.end(), before);
}

}  // namespace slim
