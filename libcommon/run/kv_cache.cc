#include "run/kv_cache.h"

#include <algorithm>
#include <cassert>

namespace slim {

void KvCacheLayer::Reserve(uint64_t positions) {
  for (auto* heads : {&keys_, &values_}) {
    for (std::vector<float>& head : *heads) head.reserve(positions * head_dim_);
  }
}

void KvCacheLayer::Truncate(uint64_t length) {
  assert(length <= length_);
  length_ = length;
  for (auto* heads : {&keys_, &values_}) {
    for (std::vector<float>& head : *heads) head.resize(length * head_dim_);
  }
}

void KvCacheLayer::Append(const float* keys, const float* values, uint64_t t) {
  const uint64_t stride = keys_.size() * head_dim_;
  for (uint64_t head = 0; head < keys_.size(); ++head) {
    for (uint64_t i = 0; i < t; ++i) {
      const float* key = keys + i * stride + head * head_dim_;
      const float* value = values + i * stride + head * head_dim_;
      keys_[head].insert(keys_[head].end(), key, key + head_dim_);
      values_[head].insert(values_[head].end(), value, value + head_dim_);
    }
  }
  length_ += t;
}

}  // namespace slim
