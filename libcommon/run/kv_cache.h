// Keys and values of earlier positions of one decoder block, in float32. Grows by doubling; keeps
// every position, also those outside a sliding window.
#pragma once

#include <cstdint>
#include <vector>

#include "model/model_config.h"

namespace slim {

class KvCacheLayer {
 public:
  explicit KvCacheLayer(const ModelConfig& config)
      : head_dim_(config.head_dim), keys_(config.num_kv_heads), values_(config.num_kv_heads) {}

  void Reserve(uint64_t positions);
  // Positions held.
  uint64_t length() const { return length_; }
  // Forgets everything from `length` on.
  void Truncate(uint64_t length);
  // `keys` (rotated) and `values` are [t, kv_heads * head_dim].
  void Append(const float* keys, const float* values, uint64_t t);

  // [length, head_dim] of one key-value head.
  const float* keys(uint64_t head) const { return keys_[head].data(); }
  const float* values(uint64_t head) const { return values_[head].data(); }
  uint64_t bytes() const { return 2 * keys_.size() * length_ * head_dim_ * sizeof(float); }

 private:
  uint64_t head_dim_;
  uint64_t length_ = 0;
  std::vector<std::vector<float>> keys_;    // by head
  std::vector<std::vector<float>> values_;  // by head
};

}  // namespace slim
