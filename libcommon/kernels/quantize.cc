#include "kernels/quantize.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"
#include "kernels/exp_constants.h"
#include "kernels/reduce.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/quantize.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/simd.inc"

HWY_BEFORE_NAMESPACE();
namespace slim {
namespace HWY_NAMESPACE {
namespace {

// Integral bounds commute with rounding to an integer, so clamping first loses nothing and keeps
// the conversion in range. NaN becomes 0.
HWY_INLINE hn::Vec<I> RoundClamped(V value, V low, V high) {
  const auto is_nan = hn::IsNaN(value);
  const auto clamped = hn::Min(hn::Max(value, low), high);
  return hn::NearestInt(hn::IfThenZeroElse(is_nan, clamped));
}

HWY_INLINE void StoreCodes(hn::Vec<I> codes, int8_t* to, uint64_t i, uint64_t count) {
  StoreAt(hn::DemoteTo(I8(), codes), I8(), to, i, count);
}

struct RoundNothing {
  static HWY_INLINE V Round(V v) { return v; }
};
struct RoundBf16 {
  static HWY_INLINE V Round(V v) { return RoundToBf16(v); }
};
struct RoundF16 {
  static HWY_INLINE V Round(V v) { return RoundToF16(v); }
};

template <class Rounding>
HWY_INLINE void QuantizeWith(const float* values, uint64_t count, float scale, float offset,
                             int low, int high, int8_t* codes) {
  const auto lowest = Splat(static_cast<float>(low));
  const auto highest = Splat(static_cast<float>(high));
  for (uint64_t i = 0; i < count; i += kWidth) {
    const auto quotient = Rounding::Round(hn::Div(LoadAt(F(), values, i, count), Splat(scale)));
    const auto shifted = Rounding::Round(hn::Add(quotient, Splat(offset)));
    StoreCodes(RoundClamped(shifted, lowest, highest), codes, i, count);
  }
}

void QuantizeF32(const float* values, uint64_t count, float scale, float offset, int low, int high,
                 int8_t* codes) {
  QuantizeWith<RoundNothing>(values, count, scale, offset, low, high, codes);
}

void QuantizeBf16(const float* values, uint64_t count, float scale, float offset, int low, int high,
                  int8_t* codes) {
  QuantizeWith<RoundBf16>(values, count, scale, offset, low, high, codes);
}

void QuantizeF16(const float* values, uint64_t count, float scale, float offset, int low, int high,
                 int8_t* codes) {
  QuantizeWith<RoundF16>(values, count, scale, offset, low, high, codes);
}

void Dequantize(const int8_t* codes, uint64_t count, float scale, float offset, float* values) {
  for (uint64_t i = 0; i < count; i += kWidth) {
    const auto code = hn::PromoteTo(I(), LoadAt(I8(), codes, i, count));
    const auto value = hn::Mul(hn::Sub(hn::ConvertTo(F(), code), Splat(offset)), Splat(scale));
    StoreAt(value, F(), values, i, count);
  }
}

// `offset` is integral and within +-2^20; the quotient is clamped where no offset can bring it
// back.
void QuantizeThenShift(const float* values, uint64_t count, float scale, float offset,
                       int8_t* codes) {
  const auto shift = hn::NearestInt(Splat(offset));
  const auto bound = Splat(0x1p22F);
  for (uint64_t i = 0; i < count; i += kWidth) {
    const auto quotient = hn::Div(LoadAt(F(), values, i, count), Splat(scale));
    const auto rounded = RoundClamped(quotient, hn::Neg(bound), bound);
    const auto shifted = hn::Add(rounded, shift);
    const auto clamped = hn::Min(hn::Max(shifted, hn::Set(I(), -128)), hn::Set(I(), 127));
    const auto is_nan = hn::RebindMask(I(), hn::IsNaN(quotient));
    StoreCodes(hn::IfThenZeroElse(is_nan, clamped), codes, i, count);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace slim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace slim {

HWY_EXPORT(QuantizeF32);
HWY_EXPORT(QuantizeBf16);
HWY_EXPORT(QuantizeF16);
HWY_EXPORT(Dequantize);
HWY_EXPORT(QuantizeThenShift);

void QuantizeRow(const float* values, uint64_t count, float scale, float offset, DType compute,
                 int low, int high, int8_t* codes) {
  assert(-128 <= low && low <= high && high <= 127);
  if (compute == DType::kBF16) {
    SLIM_DISPATCH(QuantizeBf16)(values, count, scale, offset, low, high, codes);
  } else if (compute == DType::kF16) {
    SLIM_DISPATCH(QuantizeF16)(values, count, scale, offset, low, high, codes);
  } else {
    assert(compute == DType::kF32);
    SLIM_DISPATCH(QuantizeF32)(values, count, scale, offset, low, high, codes);
  }
}

void DequantizeRow(const int8_t* codes, uint64_t count, float scale, float offset, float* values) {
  SLIM_DISPATCH(Dequantize)(codes, count, scale, offset, values);
}

float QuantizeToken(const float* values, uint64_t count, int8_t* codes) {
  const float scale = AbsMax(values, count) / 127.0F;
  if (scale == 0.0F) {
    std::fill_n(codes, count, int8_t{0});
  } else {
    SLIM_DISPATCH(QuantizeF32)(values, count, scale, 0.0F, -128, 127, codes);
  }
  return scale;
}

void QuantizeStatic(const float* values, uint64_t count, float scale, float offset, int8_t* codes) {
  const float bounded = std::isnan(offset) ? 0.0F : std::clamp(offset, -0x1p20F, 0x1p20F);
  SLIM_DISPATCH(QuantizeThenShift)(values, count, scale, bounded, codes);
}

}  // namespace slim
#endif  // HWY_ONCE
