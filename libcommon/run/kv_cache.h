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
      : key_dim_(config.head_dim),
        value_dim_(config.ValueDim()),
        keys_(config.num_kv_heads),
        values_(config.num_kv_heads) {}

  void Reserve(uint64_t positions);
  // Positions held.
  uint64_t length() const { return length_; }
  // Forgets everything from `length` on.
  void Truncate(uint64_t length);
  // `keys` (rotated) are [t, kv_heads, key_dim], `values` [t, kv_heads, value_dim].
  void Append(const float* keys, const float* values, uint64_t t);

  // [length, key_dim] and [length, value_dim] of one key-value head.
  const float* keys(uint64_t head) const { return keys_[head].data(); }
  const float* values(uint64_t head) const { return values_[head].data(); }
  uint64_t bytes() const {
    return keys_.size() * length_ * (key_dim_ + value_dim_) * sizeof(float);
  }

 private:
  uint64_t key_dim_;
  uint64_t value_dim_;
  uint64_t length_ = 0;
  std::vector<std::vector<float>> keys_;    // by head
  std::vector<std::vector<float>> values_;  // by head
};

}  // namespace slim
