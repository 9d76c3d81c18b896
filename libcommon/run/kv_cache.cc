#include "run/kv_cache.h"

#include <cassert>

namespace slim {

void KvCacheLayer::Reserve(uint64_t positions) {
  for (std::vector<float>& head : keys_) head.reserve(positions * key_dim_);
  for (std::vector<float>& head : values_) head.reserve(positions * value_dim_);
}

void KvCacheLayer::Truncate(uint64_t length) {
  assert(length <= length_);
  length_ = length;
  for (std::vector<float>& head : keys_) head.resize(length * key_dim_);
  for (std::vector<float>& head : values_) head.resize(length * value_dim_);
}

void KvCacheLayer::Append(const float* keys, const float* values, uint64_t t) {
  for (uint64_t i = 0; i < t; ++i) {
    for (std::vector<float>& head : keys_) {
      head.insert(head.end(), keys, keys + key_dim_);
      keys += key_dim_;
    }
    for (std::vector<float>& head : values_) {
      head.insert(head.end(), values, values + value_dim_);
      values += value_dim_;
    }
  }
  length_ += t;
}

}  // namespace slim
