#include "kernels/int8_scale.h"

#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"
#include "kernels/exp_constants.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/int8_scale.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/simd.inc"

HWY_BEFORE_NAMESPACE();
namespace slim {
namespace HWY_NAMESPACE {
namespace {

HWY_INLINE void DynamicRow(const int32_t* sums, uint64_t n, const DynamicScales& scales,
                           float token_scale, float* y) {
  for (uint64_t j = 0; j < n; j += kWidth) {
    V value = hn::Mul(hn::ConvertTo(F(), LoadAt(I(), sums, j, n)), LoadAt(F(), scales.scale, j, n));
    if (scales.correction != nullptr) value = hn::Add(value, LoadAt(F(), scales.correction, j, n));
    value = hn::Mul(value, Splat(token_scale));
    if (scales.bias != nullptr) value = hn::Add(value, LoadAt(F(), scales.bias, j, n));
    StoreAt(value, F(), y, j, n);
  }
}

// float(a + b) of sums beyond int32, which are exact in double.
HWY_NOINLINE V AddWide(hn::Vec<I> a, hn::Vec<I> b) {
  const hn::Half<F> half;
  const hn::Half<I> half_int;
  const hn::Rebind<double, hn::Half<F>> wide;
  const auto add = [&](auto c, auto d) HWY_ATTR {
    return hn::DemoteTo(half, hn::Add(hn::PromoteTo(wide, c), hn::PromoteTo(wide, d)));
  };
  const auto low = add(hn::LowerHalf(half_int, a), hn::LowerHalf(half_int, b));
  const auto high = add(hn::UpperHalf(half_int, a), hn::UpperHalf(half_int, b));
  return hn::Combine(F(), high, low);
}

HWY_INLINE void StaticRow(const int32_t* sums, uint64_t n, const int32_t* quant_bias,
                          const float* deq_scale, float* y) {
  for (uint64_t j = 0; j < n; j += kWidth) {
    const auto a = LoadAt(I(), sums, j, n);
    const auto b = LoadAt(I(), quant_bias, j, n);
    const auto sum = hn::Add(a, b);
    // Both have the sign that the sum lacks: it does not fit.
    const auto wrapped = hn::Lt(hn::And(hn::Xor(a, sum), hn::Xor(b, sum)), hn::Zero(I()));
    const V value = hn::AllFalse(I(), wrapped) ? hn::ConvertTo(F(), sum) : AddWide(a, b);
    StoreAt(hn::Mul(value, LoadAt(F(), deq_scale, j, n)), F(), y, j, n);
  }
}

void DynamicRows(const ScaledBlock& block, const DynamicScales& scales, const float* token_scales) {
  for (uint64_t i = 0; i < block.rows; ++i) {
    DynamicRow(block.sums + i * block.stride, block.columns, scales, token_scales[i],
               block.y + i * block.y_stride);
  }
}

void StaticRows(const ScaledBlock& block, const int32_t* quant_bias, const float* deq_scale) {
  for (uint64_t i = 0; i < block.rows; ++i) {
    StaticRow(block.sums + i * block.stride, block.columns, quant_bias, deq_scale,
              block.y + i * block.y_stride);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace slim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace slim {

HWY_EXPORT(DynamicRows);
HWY_EXPORT(StaticRows);

void ScaleDynamicSums(const ScaledBlock& block, const DynamicScales& scales,
                      const float* token_scales) {
  SLIM_DISPATCH(DynamicRows)(block, scales, token_scales);
}

void ScaleStaticSums(const ScaledBlock& block, const int32_t* quant_bias, const float* deq_scale) {
  SLIM_DISPATCH(StaticRows)(block, quant_bias, deq_scale);
}

}  // namespace slim
#endif  // HWY_ONCE
