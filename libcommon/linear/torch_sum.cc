#include "linear/torch_sum.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>

namespace slim {
namespace {

constexpr size_t kLanes = 8;
constexpr size_t kAccumulators = 4;
constexpr size_t kLevels = 4;
constexpr size_t kStride = kLanes * kAccumulators;

using Strip = std::array<float, kStride>;

void Add(Strip& to, const float* values) {
  for (size_t i = 0; i < kStride; ++i) to[i] += values[i];
}

// Partial sums of `count` strips: each level takes over from the one below after 2^power additions,
// so that small numbers meet small numbers.
Strip CascadeSum(const float* values, size_t count) {
  const size_t ceil_log2 = count > 1 ? static_cast<size_t>(std::bit_width(count - 1)) : 0;
  const size_t power = std::max<size_t>(4, ceil_log2 / kLevels);
  const size_t step = size_t{1} << power;
  std::array<Strip, kLevels> levels = {};
  size_t i = 0;
  while (i + step <= count) {
    for (size_t j = 0; j < step; ++j, ++i) Add(levels[0], values + i * kStride);
    for (size_t j = 1; j < kLevels; ++j) {
      Add(levels[j], levels[j - 1].data());
      levels[j - 1].fill(0.0F);
      if ((i & ((step - 1) << (j * power))) != 0) break;
    }
  }
  for (; i < count; ++i) Add(levels[0], values + i * kStride);
  for (size_t j = 1; j < kLevels; ++j) Add(levels[0], levels[j].data());
  return levels[0];
}

}  // namespace

float TorchSum(std::span<const float> values) {
  const size_t vectors = values.size() / kLanes;
  const size_t strips = vectors / kAccumulators;
  Strip sums = CascadeSum(values.data(), strips);
  for (size_t v = strips * kAccumulators; v < vectors; ++v) {
    for (size_t l = 0; l < kLanes; ++l) sums[l] += values[v * kLanes + l];
  }
  for (size_t a = 1; a < kAccumulators; ++a) {
    for (size_t l = 0; l < kLanes; ++l) sums[l] += sums[a * kLanes + l];
  }
  float total = 0;
  for (size_t i = vectors * kLanes; i < values.size(); ++i) total += values[i];
  for (size_t l = 0; l < kLanes; ++l) total += sums[l];
  return total;
}

}  // namespace slim
