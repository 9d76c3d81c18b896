#include "kernels/matmul.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/exp_constants.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/matmul.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/matmul_tile.h"
#include "kernels/simd.inc"

HWY_BEFORE_NAMESPACE();
namespace slim {
namespace HWY_NAMESPACE {
namespace {

// One step of 16 for every pair of kRows rows of x and kColumns rows of w; a part at a time, to
// keep few vectors live.
template <class Source, size_t kRows, size_t kColumns>
HWY_INLINE void Step(const float* const* x, const std::byte* const* w, uint64_t i,
                     Lanes (&sum)[kRows][kColumns]) {
  HWY_UNROLL(16)
  for (size_t p = 0; p < kParts; ++p) {
    V b[kColumns];
    HWY_UNROLL(16)
    for (size_t c = 0; c < kColumns; ++c) b[c] = Source::Load(w[c], i + p * kWidth);
    HWY_UNROLL(16)
    for (size_t r = 0; r < kRows; ++r) {
      const V a = hn::LoadU(F(), x[r] + i + p * kWidth);
      HWY_UNROLL(16)
      for (size_t c = 0; c < kColumns; ++c) {
        sum[r][c].part[p] = Fma(a, b[c], sum[r][c].part[p]);
      }
    }
  }
}

// The last k % 16 elements, through copies padded with zeros.
template <class Source, size_t kRows, size_t kColumns>
HWY_INLINE void StepTail(const float* const* x, const std::byte* const* w, uint64_t i,
                         uint64_t count, Lanes (&sum)[kRows][kColumns]) {
  using Element = typename Source::Element;
  alignas(64) float x_tail[kRows][kLanes] = {};
  alignas(64) Element w_tail[kColumns][kLanes] = {};
  const float* x_rows[kRows];
  const std::byte* w_rows[kColumns];
  for (size_t r = 0; r < kRows; ++r) {
    std::memcpy(x_tail[r], x[r] + i, count * sizeof(float));
    x_rows[r] = x_tail[r];
  }
  for (size_t c = 0; c < kColumns; ++c) {
    std::memcpy(w_tail[c], w[c] + i * sizeof(Element), count * sizeof(Element));
    w_rows[c] = reinterpret_cast<const std::byte*>(w_tail[c]);
  }
  Step<Source, kRows, kColumns>(x_rows, w_rows, 0, sum);
}

// y[r * y_stride + c] for kRows rows of x and kColumns rows of w.
template <class Source, size_t kRows, size_t kColumns>
HWY_NOINLINE void Block(const float* x, const std::byte* w, uint64_t w_stride, uint64_t k, float* y,
                        uint64_t y_stride) {
  const float* x_rows[kRows];
  const std::byte* w_rows[kColumns];
  Lanes sum[kRows][kColumns];
  HWY_UNROLL(16)
  for (size_t r = 0; r < kRows; ++r) {
    x_rows[r] = x + r * k;
    HWY_UNROLL(16)
    for (size_t c = 0; c < kColumns; ++c) sum[r][c] = ZeroLanes();
  }
  HWY_UNROLL(16)
  for (size_t c = 0; c < kColumns; ++c) w_rows[c] = w + c * w_stride;
  uint64_t i = 0;
  for (; i + kLanes <= k; i += kLanes) Step<Source, kRows, kColumns>(x_rows, w_rows, i, sum);
  if (i < k) StepTail<Source, kRows, kColumns>(x_rows, w_rows, i, k - i, sum);
  HWY_UNROLL(16)
  for (size_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(16)
    for (size_t c = 0; c < kColumns; ++c) y[r * y_stride + c] = FoldLanes(sum[r][c]);
  }
}

// As many sums as the registers hold beside the operands: 24 of 32 where a sum is one vector, 12 of
// 16 where it is two. Narrow weights are widened as they are loaded: that costs less than a second
// pass over a widened copy.
constexpr size_t kBlockRows = kParts == 1 ? 4 : (kParts == 2 ? 3 : 1);
constexpr size_t kBlockColumns = kParts == 1 ? 6 : 2;

template <class Source, size_t kRows>
HWY_INLINE void RowsTimesTile(const float* x, const WeightTile& tile, uint64_t k, float* y,
                              uint64_t y_stride) {
  uint64_t j = 0;
  for (; j + kBlockColumns <= tile.rows; j += kBlockColumns) {
    Block<Source, kRows, kBlockColumns>(x, tile.data + j * tile.stride, tile.stride, k, y + j,
                                        y_stride);
  }
  for (; j < tile.rows; ++j) {
    Block<Source, kRows, 1>(x, tile.data + j * tile.stride, tile.stride, k, y + j, y_stride);
  }
}

template <class Source>
HWY_INLINE void TimesTile(const float* x, uint64_t t, const WeightTile& tile, uint64_t k, float* y,
                          uint64_t y_stride) {
  uint64_t i = 0;
  for (; i + kBlockRows <= t; i += kBlockRows) {
    RowsTimesTile<Source, kBlockRows>(x + i * k, tile, k, y + i * y_stride, y_stride);
  }
  for (; i < t; ++i) RowsTimesTile<Source, 1>(x + i * k, tile, k, y + i * y_stride, y_stride);
}

void TimesTileF32(const float* x, uint64_t t, const WeightTile& tile, uint64_t k, float* y,
                  uint64_t y_stride) {
  TimesTile<FromF32>(x, t, tile, k, y, y_stride);
}

void TimesTileBf16(const float* x, uint64_t t, const WeightTile& tile, uint64_t k, float* y,
                   uint64_t y_stride) {
  TimesTile<FromBf16>(x, t, tile, k, y, y_stride);
}

void TimesTileF16(const float* x, uint64_t t, const WeightTile& tile, uint64_t k, float* y,
                  uint64_t y_stride) {
  TimesTile<FromF16>(x, t, tile, k, y, y_stride);
}

float DotRow(const float* a, const float* b, uint64_t k) {
  float result = 0;
  Block<FromF32, 1, 1>(a, reinterpret_cast<const std::byte*>(b), 0, k, &result, 1);
  return result;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace slim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace slim {

HWY_EXPORT(TimesTileF32);
HWY_EXPORT(TimesTileBf16);
HWY_EXPORT(TimesTileF16);
HWY_EXPORT(DotRow);

namespace {

void TimesTileAny(DType dtype, const float* x, uint64_t t, const WeightTile& tile, uint64_t k,
                  float* y, uint64_t y_stride) {
  if (dtype == DType::kF32) {
    SLIM_DISPATCH(TimesTileF32)(x, t, tile, k, y, y_stride);
  } else if (dtype == DType::kBF16) {
    SLIM_DISPATCH(TimesTileBf16)(x, t, tile, k, y, y_stride);
  } else {
    SLIM_DISPATCH(TimesTileF16)(x, t, tile, k, y, y_stride);
  }
}

}  // namespace

float Dot(const float* a, const float* b, uint64_t k) { return SLIM_DISPATCH(DotRow)(a, b, k); }

void MatMul(const float* x, uint64_t t, const TensorView& w, float* y, ThreadPool& pool) {
  assert(w.shape.size() == 2 && CanConvertFromFloat(w.dtype));
  if (t == 0) return;  // x and y may be null then
  const uint64_t n = w.shape[0];
  const uint64_t k = w.shape[1];
  const uint64_t stride = k * (DTypeBits(w.dtype) / 8);
  assert(w.bytes.size() == n * stride);
  pool.ParallelFor(n, TileRows(n, k, pool.threads()), [&](uint64_t begin, uint64_t end) {
    const WeightTile tile{w.bytes.data() + begin * stride, end - begin, stride};
    TimesTileAny(w.dtype, x, t, tile, k, y + begin, n);
  });
}

}  // namespace slim
#endif  // HWY_ONCE
