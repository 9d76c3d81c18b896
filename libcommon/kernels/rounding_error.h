// What rounding did to an array, in one pass. Exact comparisons only: the same on every instruction
// set.
#pragma once

#include <cstdint>

namespace slim {

struct RoundingGlance {
  uint64_t changed = 0;  // elements that are no longer the same, NaN counted
  // Whether one is off by more than `bound` times its magnitude, became zero, is NaN or infinite,
  // or changed below 1e-30, where that product may be subnormal.
  bool stands_out = false;
};

RoundingGlance GlanceAtRounding(const float* before, const float* after, uint64_t count,
                                float bound);

}  // namespace slim
