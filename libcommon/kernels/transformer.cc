#include "kernels/transformer.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/dispatch.h"
#include "kernels/exp_constants.h"
#include "kernels/math.h"
#include "kernels/matmul.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/transformer.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/simd.inc"

HWY_BEFORE_NAMESPACE();
namespace slim {
namespace HWY_NAMESPACE {
namespace {

void ScaleByWeight(const float* x, const float* weight, uint64_t n, float factor, float* y) {
  for (uint64_t i = 0; i < n; i += kWidth) {
    const auto normalized = hn::Mul(LoadAt(F(), x, i, n), Splat(factor));
    StoreAt(hn::Mul(LoadAt(F(), weight, i, n), normalized), F(), y, i, n);
  }
}

HWY_INLINE void SiluMulRow(const float* gate, const float* up, uint64_t n, float* out) {
  const auto one = Splat(1.0F);
  for (uint64_t i = 0; i < n; i += kWidth) {
    const auto g = LoadAt(F(), gate, i, n);
    const auto silu = hn::Div(g, hn::Add(one, Exp(hn::Neg(g))));
    StoreAt(hn::Mul(silu, LoadAt(F(), up, i, n)), F(), out, i, n);
  }
}

void SiluMulBlock(const float* gate, const float* up, uint64_t rows, uint64_t n, float* out,
                  uint64_t stride) {
  for (uint64_t i = 0; i < rows; ++i) SiluMulRow(gate + i * n, up + i * n, n, out + i * stride);
}

float MaxOf(const float* values, uint64_t n) {
  auto max = Splat(-std::numeric_limits<float>::infinity());
  uint64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) max = hn::Max(max, hn::LoadU(F(), values + i));
  alignas(64) float lanes[kLanes];
  hn::Store(max, F(), lanes);
  float result = *std::max_element(lanes, lanes + kWidth);
  for (; i < n; ++i) result = std::max(result, values[i]);
  return result;
}

// Exponentials in place; returns their sum in the 16 lanes, the tail counting as zeros.
float ExpAndSum(float* values, uint64_t n, float max) {
  Lanes sum = ZeroLanes();
  uint64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    HWY_UNROLL(16)
    for (size_t p = 0; p < kParts; ++p) {
      float* const at = values + i + p * kWidth;
      const auto e = Exp(hn::Sub(hn::LoadU(F(), at), Splat(max)));
      hn::StoreU(e, F(), at);
      sum.part[p] = hn::Add(sum.part[p], e);
    }
  }
  if (i < n) {
    alignas(64) float tail[kLanes];
    std::fill(tail, tail + kLanes, -std::numeric_limits<float>::infinity());
    std::memcpy(tail, values + i, (n - i) * sizeof(float));
    HWY_UNROLL(16)
    for (size_t p = 0; p < kParts; ++p) {
      const auto e = Exp(hn::Sub(hn::Load(F(), tail + p * kWidth), Splat(max)));
      hn::Store(e, F(), tail + p * kWidth);
      sum.part[p] = hn::Add(sum.part[p], e);
    }
    std::memcpy(values + i, tail, (n - i) * sizeof(float));
  }
  return FoldLanes(sum);
}

void SoftmaxRow(float* values, uint64_t n) {
  const auto sum = Splat(ExpAndSum(values, n, MaxOf(values, n)));
  for (uint64_t i = 0; i < n; i += kWidth) {
    StoreAt(hn::Div(LoadAt(F(), values, i, n), sum), F(), values, i, n);
  }
}

void AddRow(float* y, const float* x, uint64_t n) {
  for (uint64_t i = 0; i < n; i += kWidth) {
    StoreAt(hn::Add(LoadAt(F(), y, i, n), LoadAt(F(), x, i, n)), F(), y, i, n);
  }
}

void AxpyRow(float a, const float* x, float* y, uint64_t n) {
  const auto factor = Splat(a);
  for (uint64_t i = 0; i < n; i += kWidth) {
    StoreAt(Fma(factor, LoadAt(F(), x, i, n), LoadAt(F(), y, i, n)), F(), y, i, n);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace slim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace slim {

HWY_EXPORT(ScaleByWeight);
HWY_EXPORT(SiluMulBlock);
HWY_EXPORT(SoftmaxRow);
HWY_EXPORT(AddRow);
HWY_EXPORT(AxpyRow);

void RmsNorm(const float* x, const float* weight, uint64_t n, float eps, float* y) {
  const float mean = Dot(x, x, n) / static_cast<float>(n);
  SLIM_DISPATCH(ScaleByWeight)(x, weight, n, RsqrtF(mean + eps), y);
}

void SiluMul(const float* gate, const float* up, uint64_t n, float* out) {
  SiluMulRows(gate, up, 1, n, out, n);
}

void SiluMulRows(const float* gate, const float* up, uint64_t rows, uint64_t n, float* out,
                 uint64_t stride) {
  SLIM_DISPATCH(SiluMulBlock)(gate, up, rows, n, out, stride);
}

void Softmax(float* values, uint64_t n) {
  assert(n > 0);
  SLIM_DISPATCH(SoftmaxRow)(values, n);
}

void AddInPlace(float* y, const float* x, uint64_t n) { SLIM_DISPATCH(AddRow)(y, x, n); }

void Axpy(float a, const float* x, float* y, uint64_t n) { SLIM_DISPATCH(AxpyRow)(a, x, y, n); }

}  // namespace slim
#endif  // HWY_ONCE
