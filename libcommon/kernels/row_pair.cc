#include "kernels/row_pair.h"

#include <algorithm>

#include "kernels/dispatch.h"
#include "kernels/exp_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/row_pair.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef SLIM_KERNELS_ROW_PAIR_ONCE_
#define SLIM_KERNELS_ROW_PAIR_ONCE_

namespace slim {
namespace {

constexpr uint64_t kSumLanes = 8;

struct LaneSums {
  double lane[kSumLanes] = {};

  double Fold() const {
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
  }
};

// Product, squares and squared error; or the three sums of exponentials.
struct PairLanes {
  LaneSums sums[4];
};

// Exponentials of some elements of both rows, and what they were raised to.
struct ExponentialPart {
  const float* a;
  const float* b;
  double a_max;
  double b_max;
  const double* a_exponentials;
  const double* b_exponentials;
  uint64_t count;
};

}  // namespace
}  // namespace slim

#endif

HWY_BEFORE_NAMESPACE();
namespace slim {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<double, kSumLanes>;
using W = hn::Vec<D>;
using Narrow = hn::Rebind<float, D>;
constexpr uint64_t kWide = hn::MaxLanes(D());
constexpr uint64_t kWideParts = kSumLanes / kWide;

HWY_INLINE W Widen(const float* x) { return hn::PromoteTo(D(), hn::LoadU(Narrow(), x)); }

// sums += those of whole groups of kSumLanes elements; returns how many elements that were.
uint64_t AddGroups(const float* a, const float* b, uint64_t count, PairLanes& lanes) {
  const uint64_t whole = count / kSumLanes * kSumLanes;
  for (uint64_t p = 0; p < kWideParts; ++p) {
    W product = hn::Zero(D());
    W first = hn::Zero(D());
    W second = hn::Zero(D());
    W error = hn::Zero(D());
    for (uint64_t i = p * kWide; i < whole; i += kSumLanes) {
      const W x = Widen(a + i);
      const W y = Widen(b + i);
      const W difference = hn::Sub(x, y);
      product = hn::Add(product, hn::Mul(x, y));
      first = hn::Add(first, hn::Mul(x, x));
      second = hn::Add(second, hn::Mul(y, y));
      error = hn::Add(error, hn::Mul(difference, difference));
    }
    const W found[] = {product, first, second, error};
    for (uint64_t s = 0; s < 4; ++s) hn::StoreU(found[s], D(), lanes.sums[s].lane + p * kWide);
  }
  return whole;
}

// The same of sums[0 .. 2], on top of what they are.
uint64_t AddExponentials(const ExponentialPart& part, PairLanes& lanes) {
  const uint64_t whole = part.count / kSumLanes * kSumLanes;
  for (uint64_t p = 0; p < kWideParts; ++p) {
    W first = hn::LoadU(D(), lanes.sums[0].lane + p * kWide);
    W second = hn::LoadU(D(), lanes.sums[1].lane + p * kWide);
    W weighted = hn::LoadU(D(), lanes.sums[2].lane + p * kWide);
    for (uint64_t i = p * kWide; i < whole; i += kSumLanes) {
      const W exponential = hn::LoadU(D(), part.a_exponentials + i);
      const W x = hn::Sub(Widen(part.a + i), hn::Set(D(), part.a_max));
      const W y = hn::Sub(Widen(part.b + i), hn::Set(D(), part.b_max));
      first = hn::Add(first, exponential);
      second = hn::Add(second, hn::LoadU(D(), part.b_exponentials + i));
      weighted = hn::Add(weighted, hn::Mul(exponential, hn::Sub(x, y)));
    }
    hn::StoreU(first, D(), lanes.sums[0].lane + p * kWide);
    hn::StoreU(second, D(), lanes.sums[1].lane + p * kWide);
    hn::StoreU(weighted, D(), lanes.sums[2].lane + p * kWide);
  }
  return whole;
}

uint64_t Above(const float* x, uint64_t count, float bound) {
  const hn::CappedTag<float, 16> d;
  constexpr uint64_t kStep = hn::MaxLanes(hn::CappedTag<float, 16>());
  uint64_t above = 0;
  uint64_t i = 0;
  for (; i + kStep <= count; i += kStep)
    above += hn::CountTrue(d, hn::Gt(hn::LoadU(d, x + i), hn::Set(d, bound)));
  for (; i < count; ++i) above += x[i] > bound ? 1 : 0;
  return above;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace slim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace slim {

HWY_EXPORT(AddGroups);
HWY_EXPORT(AddExponentials);
HWY_EXPORT(Above);

RowPairSums SumRowPair(const float* a, const float* b, uint64_t count) {
  PairLanes lanes;
  for (uint64_t i = SLIM_DISPATCH(AddGroups)(a, b, count, lanes); i < count; ++i) {
    const double x = a[i];
    const double y = b[i];
    const double found[] = {x * y, x * x, y * y, (x - y) * (x - y)};
    for (uint64_t s = 0; s < 4; ++s) lanes.sums[s].lane[i % kSumLanes] += found[s];
  }
  return {lanes.sums[0].Fold(), lanes.sums[1].Fold(), lanes.sums[2].Fold(), lanes.sums[3].Fold()};
}

RowPairExponentials SumExponentials(const float* a, double a_max, const float* b, double b_max,
                                    uint64_t count) {
  constexpr uint64_t kTogether = 512;  // a multiple of kSumLanes
  double a_exponentials[kTogether];
  double b_exponentials[kTogether];
  PairLanes lanes;
  for (uint64_t begin = 0; begin < count; begin += kTogether) {
    const ExponentialPart part{a + begin,
                               b + begin,
                               a_max,
                               b_max,
                               a_exponentials,
                               b_exponentials,
                               std::min(kTogether, count - begin)};
    ExpDifferences(part.a, part.count, a_max, a_exponentials);
    ExpDifferences(part.b, part.count, b_max, b_exponentials);
    for (uint64_t i = SLIM_DISPATCH(AddExponentials)(part, lanes); i < part.count; ++i) {
      const double x = part.a[i] - a_max;
      const double y = part.b[i] - b_max;
      lanes.sums[0].lane[i % kSumLanes] += a_exponentials[i];
      lanes.sums[1].lane[i % kSumLanes] += b_exponentials[i];
      lanes.sums[2].lane[i % kSumLanes] += a_exponentials[i] * (x - y);
    }
  }
  return {lanes.sums[0].Fold(), lanes.sums[1].Fold(), lanes.sums[2].Fold()};
}

uint64_t CountAbove(const float* x, uint64_t count, float bound) {
  return SLIM_DISPATCH(Above)(x, count, bound);
}

}  // namespace slim
#endif  // HWY_ONCE
