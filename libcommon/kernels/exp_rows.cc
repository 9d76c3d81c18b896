#include "kernels/exp_rows.h"

#include <algorithm>
#include <limits>

#include "kernels/dispatch.h"
#include "kernels/exp_constants.h"
#include "kernels/math.h"
#include "kernels/reduce.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/exp_rows.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace slim {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_NATIVE_FMA

using D = hn::CappedTag<double, 8>;

// ExpD, operation by operation.
HWY_INLINE hn::Vec<D> Exp(hn::Vec<D> x) {
  const D d;
  const hn::RebindToSigned<D> i64;
  const hn::Rebind<int32_t, D> i32;
  const auto lowest = hn::Set(d, kExpDLowest);
  const auto highest = hn::Set(d, kExpDHighest);
  const auto clamped = hn::Min(hn::Max(x, lowest), highest);
  const auto n = hn::Round(hn::Mul(clamped, hn::Set(d, kLog2E)));
  auto r = hn::NegMulAdd(n, hn::Set(d, kLn2High), clamped);
  r = hn::NegMulAdd(n, hn::Set(d, kLn2Low), r);
  auto p = hn::Zero(d);
  for (const double factor : kExpDP) p = hn::MulAdd(p, r, hn::Set(d, factor));
  const auto y = hn::Add(hn::Set(d, 1.0), hn::MulAdd(p, hn::Mul(r, r), r));
  // 2^n in two factors: the first product is exact, however n is halved.
  const auto exponent = hn::PromoteTo(i64, hn::DemoteTo(i32, n));
  const auto half = hn::PromoteTo(i64, hn::ShiftRight<1>(hn::DemoteTo(i32, n)));
  const auto power = [&](auto e) HWY_ATTR {
    return hn::BitCast(d, hn::ShiftLeft<52>(hn::Add(e, hn::Set(i64, 1023))));
  };
  const auto result = hn::Mul(hn::Mul(y, power(half)), power(hn::Sub(exponent, half)));
  const auto bounded = hn::IfThenElse(hn::Gt(x, highest),
                                      hn::Set(d, std::numeric_limits<double>::infinity()), result);
  return hn::IfThenElseZero(hn::Ge(x, lowest), bounded);
}

void Differences(const float* x, uint64_t count, double subtrahend, double* y) {
  const D d;
  const hn::Rebind<float, D> f;
  constexpr uint64_t kWidth = hn::MaxLanes(D());
  uint64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    const auto wide = hn::PromoteTo(d, hn::LoadU(f, x + i));
    hn::StoreU(Exp(hn::Sub(wide, hn::Set(d, subtrahend))), d, y + i);
  }
  for (; i < count; ++i) y[i] = ExpD(static_cast<double>(x[i]) - subtrahend);
}

#else

void Differences(const float* x, uint64_t count, double subtrahend, double* y) {
  for (uint64_t i = 0; i < count; ++i) y[i] = ExpD(static_cast<double>(x[i]) - subtrahend);
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace slim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace slim {

HWY_EXPORT(Differences);

void ExpDifferences(const float* x, uint64_t count, double subtrahend, double* y) {
  SLIM_DISPATCH(Differences)(x, count, subtrahend, y);
}

double LogSumExp(const float* x, uint64_t count) {
  constexpr uint64_t kTogether = 512;
  double exponentials[kTogether];
  const double largest = FindMinMax(x, count).max;
  double sum = 0;
  for (uint64_t begin = 0; begin < count; begin += kTogether) {
    const uint64_t part = std::min(kTogether, count - begin);
    ExpDifferences(x + begin, part, largest, exponentials);
    for (uint64_t i = 0; i < part; ++i) sum += exponentials[i];
  }
  return LogD(sum) + largest;
}

}  // namespace slim
#endif  // HWY_ONCE
