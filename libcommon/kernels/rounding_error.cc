#include "kernels/rounding_error.h"

#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"
#include "kernels/exp_constants.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rounding_error.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/simd.inc"

HWY_BEFORE_NAMESPACE();
namespace slim {
namespace HWY_NAMESPACE {
namespace {

// Below it a product with a bound may be subnormal.
constexpr float kSmall = 1e-30F;

RoundingGlance Glance(const float* before, const float* after, uint64_t count, float bound) {
  const F f32;
  const auto zero = hn::Zero(f32);
  uint64_t changed = 0;
  auto inside = hn::Eq(zero, zero);
  for (uint64_t i = 0; i < count; i += kWidth) {
    const auto was = LoadAt(f32, before, i, count);
    const auto is = LoadAt(f32, after, i, count);
    const auto size = hn::Abs(was);
    const auto same = hn::Eq(was, is);
    changed += kWidth - hn::CountTrue(f32, same);
    const auto near = hn::Le(hn::Abs(hn::Sub(is, was)), hn::Mul(Splat(bound), size));
    const auto kept = hn::And(hn::Ne(is, zero), hn::Ge(size, Splat(kSmall)));
    inside = hn::And(inside, hn::And(near, hn::Or(same, kept)));
  }
  return {changed, !hn::AllTrue(f32, inside)};
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace slim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace slim {

HWY_EXPORT(Glance);

RoundingGlance GlanceAtRounding(const float* before, const float* after, uint64_t count,
                                float bound) {
  return SLIM_DISPATCH(Glance)(before, after, count, bound);
}

}  // namespace slim
#endif  // HWY_ONCE
