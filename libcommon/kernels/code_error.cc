#include "kernels/code_error.h"

#include <cassert>
#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"
#include "kernels/exp_constants.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/code_error.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/simd.inc"

HWY_BEFORE_NAMESPACE();
namespace slim {
namespace HWY_NAMESPACE {
namespace {

struct Grid {
  V scale;
  V inverse;
  V offset;
  V low;
  V high;
};

// The constructor is written out for the reason that Lanes' is.
struct Sums {
  HWY_INLINE Sums() : error(ZeroLanes()), product(ZeroLanes()), square(ZeroLanes()) {}
  Lanes error;
  Lanes product;
  Lanes square;
};

template <bool kWeighed>
HWY_INLINE void AddPart(const Grid& grid, V value, V weight, size_t part, Sums& sums) {
  const auto place = hn::Add(hn::Mul(value, grid.inverse), grid.offset);
  const auto code = hn::Sub(hn::Round(hn::Min(hn::Max(place, grid.low), grid.high)), grid.offset);
  const auto lost = hn::Sub(value, hn::Mul(code, grid.scale));
  const auto weighed_loss = kWeighed ? hn::Mul(weight, lost) : lost;
  const auto weighed_code = kWeighed ? hn::Mul(weight, code) : code;
  sums.error.part[part] = hn::Add(sums.error.part[part], hn::Mul(weighed_loss, lost));
  sums.product.part[part] = hn::Add(sums.product.part[part], hn::Mul(weighed_loss, code));
  sums.square.part[part] = hn::Add(sums.square.part[part], hn::Mul(weighed_code, code));
}

// Behind the end stand values that are exactly code `offset`, which adds nothing to any sum.
template <bool kWeighed>
HWY_INLINE CodeError Measure(const float* values, const float* weights, uint64_t count, float scale,
                             float offset, int low, int high) {
  const Grid grid = {Splat(scale), Splat(1.0F / scale), Splat(offset),
                     Splat(static_cast<float>(low)), Splat(static_cast<float>(high))};
  Sums sums;
  uint64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    HWY_UNROLL(16)
    for (size_t p = 0; p < kParts; ++p) {
      const uint64_t at = i + p * kWidth;
      AddPart<kWeighed>(grid, hn::LoadU(F(), values + at),
                        kWeighed ? hn::LoadU(F(), weights + at) : hn::Zero(F()), p, sums);
    }
  }
  for (size_t p = 0; i < count; ++p, i += kWidth) {
    AddPart<kWeighed>(grid, LoadAt(F(), values, i, count),
                      kWeighed ? LoadAt(F(), weights, i, count) : hn::Zero(F()), p, sums);
  }
  return {FoldLanes(sums.error), FoldLanes(sums.product), FoldLanes(sums.square)};
}

CodeError MeasureEven(const float* values, uint64_t count, float scale, float offset, int low,
                      int high) {
  return Measure<false>(values, nullptr, count, scale, offset, low, high);
}

CodeError MeasureWeighed(const float* values, const float* weights, uint64_t count, float scale,
                         float offset, int low, int high) {
  return Measure<true>(values, weights, count, scale, offset, low, high);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace slim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace slim {

HWY_EXPORT(MeasureEven);
HWY_EXPORT(MeasureWeighed);

CodeError MeasureCodes(const float* values, const float* weights, uint64_t count, float scale,
                       float offset, int low, int high) {
  assert(scale > 0 && -128 <= low && low <= high && high <= 127);
  if (weights == nullptr)
    return SLIM_DISPATCH(MeasureEven)(values, count, scale, offset, low, high);
  return SLIM_DISPATCH(MeasureWeighed)(values, weights, count, scale, offset, low, high);
}

}  // namespace slim
#endif
