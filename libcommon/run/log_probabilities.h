// Logarithms of the softmax of one row of logits, in float64 by functions of our own: the same
// values on every machine.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace slim {

// log softmax(logits)[id] for any id, after one pass over the row.
class LogProbabilities {
 public:
  explicit LogProbabilities(std::span<const float> logits);

  double Of(int32_t id) const {
    return static_cast<double>(logits_[static_cast<size_t>(id)]) - normalizer_;
  }
  // The `count` most probable tokens, falling; of equal ones the smaller id first.
  std::vector<std::pair<int32_t, double>> Top(uint64_t count) const;

 private:
  std::span<const float> logits_;
  double normalizer_ = 0;  // log Σ exp(logit)
};

}  // namespace slim
