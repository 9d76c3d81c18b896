#include "kernels/reduce.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"
#include "kernels/exp_constants.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/reduce.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/simd.inc"

HWY_BEFORE_NAMESPACE();
namespace slim {
namespace HWY_NAMESPACE {
namespace {

// The largest |x| as bits: as integers they are ordered like the magnitudes, with NaN on top.
uint32_t MaxMagnitudeBits(const float* values, uint64_t count) {
  const I i32;
  const auto mask = hn::Set(i32, 0x7FFFFFFF);
  auto max0 = hn::Zero(i32);
  auto max1 = hn::Zero(i32);
  uint64_t i = 0;
  for (; i + 2 * kWidth <= count; i += 2 * kWidth) {
    max0 = hn::Max(max0, hn::And(mask, hn::BitCast(i32, hn::LoadU(F(), values + i))));
    max1 = hn::Max(max1, hn::And(mask, hn::BitCast(i32, hn::LoadU(F(), values + i + kWidth))));
  }
  for (; i < count; i += kWidth) {
    max0 = hn::Max(max0, hn::And(mask, hn::BitCast(i32, LoadAt(F(), values, i, count))));
  }
  alignas(64) int32_t lanes[kLanes] = {};
  hn::Store(hn::Max(max0, max1), i32, lanes);
  return static_cast<uint32_t>(*std::max_element(lanes, lanes + kWidth));
}

MinMax MinMaxOf(const float* values, uint64_t count) {
  auto min = Splat(values[0]);
  auto max = min;
  uint64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    const auto v = hn::LoadU(F(), values + i);
    min = hn::Min(min, v);
    max = hn::Max(max, v);
  }
  alignas(64) float lows[kLanes];
  alignas(64) float highs[kLanes];
  hn::Store(min, F(), lows);
  hn::Store(max, F(), highs);
  float low = *std::min_element(lows, lows + kWidth);
  float high = *std::max_element(highs, highs + kWidth);
  for (; i < count; ++i) {
    low = std::min(low, values[i]);
    high = std::max(high, values[i]);
  }
  // Adding +0 turns -0 into +0: which zero is met first depends on the width.
  return {low + 0.0F, high + 0.0F};
}

// Columns a block at a time, so that the running values stay in the first cache.
constexpr uint64_t kColumnBlock = 1024;

void WidenRowMinMax(const float* row, uint64_t count, float* min, float* max) {
  const auto zero = hn::Zero(F());
  for (uint64_t i = 0; i < count; i += kWidth) {
    const auto v = LoadAt(F(), row, i, count);
    const auto low = hn::Min(LoadAt(F(), min, i, count), v);
    const auto high = hn::Max(LoadAt(F(), max, i, count), v);
    StoreAt(hn::Add(low, zero), F(), min, i, count);
    StoreAt(hn::Add(high, zero), F(), max, i, count);
  }
}

void WidenRowAbsMax(const float* row, uint64_t count, float* absmax) {
  for (uint64_t i = 0; i < count; i += kWidth) {
    const auto v = hn::Abs(LoadAt(F(), row, i, count));
    StoreAt(hn::Max(LoadAt(F(), absmax, i, count), v), F(), absmax, i, count);
  }
}

void WidenMinMax(const float* rows, uint64_t row_count, uint64_t columns, float* min, float* max) {
  for (uint64_t c = 0; c < columns; c += kColumnBlock) {
    const uint64_t width = std::min(kColumnBlock, columns - c);
    for (uint64_t r = 0; r < row_count; ++r) {
      WidenRowMinMax(rows + r * columns + c, width, min + c, max + c);
    }
  }
}

void WidenAbsMax(const float* rows, uint64_t row_count, uint64_t columns, float* absmax) {
  for (uint64_t c = 0; c < columns; c += kColumnBlock) {
    const uint64_t width = std::min(kColumnBlock, columns - c);
    for (uint64_t r = 0; r < row_count; ++r) {
      WidenRowAbsMax(rows + r * columns + c, width, absmax + c);
    }
  }
}

int32_t SumCodes(const int8_t* codes, uint64_t count) {
  const I i32;
  auto sum = hn::Zero(i32);
  uint64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    sum = hn::Add(sum, hn::PromoteTo(i32, hn::LoadU(I8(), codes + i)));
  }
  alignas(64) int32_t lanes[kLanes];
  hn::Store(sum, i32, lanes);
  int32_t total = 0;
  for (size_t lane = 0; lane < kWidth; ++lane) total += lanes[lane];
  for (; i < count; ++i) total += codes[i];
  return total;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace slim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace slim {

HWY_EXPORT(MaxMagnitudeBits);
HWY_EXPORT(MinMaxOf);
HWY_EXPORT(WidenMinMax);
HWY_EXPORT(WidenAbsMax);
HWY_EXPORT(SumCodes);

MinMax FindMinMax(const float* values, uint64_t count) {
  assert(count > 0);
  return SLIM_DISPATCH(MinMaxOf)(values, count);
}

float AbsMax(const float* values, uint64_t count) {
  return std::bit_cast<float>(SLIM_DISPATCH(MaxMagnitudeBits)(values, count));
}

bool AllFinite(const float* values, uint64_t count) {
  return SLIM_DISPATCH(MaxMagnitudeBits)(values, count) < 0x7F800000U;
}

void UpdateColumnMinMax(const float* rows, uint64_t row_count, uint64_t columns, float* min,
                        float* max) {
  SLIM_DISPATCH(WidenMinMax)(rows, row_count, columns, min, max);
}

void UpdateColumnAbsMax(const float* rows, uint64_t row_count, uint64_t columns, float* absmax) {
  SLIM_DISPATCH(WidenAbsMax)(rows, row_count, columns, absmax);
}

int32_t SumInt8(const int8_t* codes, uint64_t count) {
  assert(count <= (uint64_t{1} << 23));
  return SLIM_DISPATCH(SumCodes)(codes, count);
}

}  // namespace slim
#endif  // HWY_ONCE
