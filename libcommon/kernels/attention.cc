#include "kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/exp_constants.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/simd.inc"

#ifndef SLIM_KERNELS_ATTENTION_ONCE_
#define SLIM_KERNELS_ATTENTION_ONCE_

namespace slim {
namespace {

constexpr uint64_t kKeys = 64;  // positions in a block
constexpr float kMasked = -std::numeric_limits<float>::infinity();

// Arrays that a call needs; every thread keeps its own.
struct Workspace {
  std::vector<float> keys;    // of a block, transposed: [key_dim, kKeys]
  std::vector<float> values;  // of a block, where rows need padding: [kKeys, width]
  std::vector<float> scores;  // of a tile of rows: [kTileRows, kKeys]
  std::vector<float> sums;    // [rows, width]
  std::vector<float> max, total;
};

// Positions of the block at `base` that one of rows r .. r + count - 1 sees: [from, to), offsets in
// the block; from >= to: none.
struct SeenInBlock {
  uint64_t from;
  uint64_t to;

  SeenInBlock(const AttentionRows& job, uint64_t base, uint64_t r, uint64_t count)
      : from(*std::min_element(job.begin + r, job.begin + r + count)),
        to(*std::max_element(job.end + r, job.end + r + count)) {
    from = std::clamp(from, base, base + kKeys) - base;
    to = std::clamp(to, base, base + kKeys) - base;
  }
};

}  // namespace
}  // namespace slim

#endif

HWY_BEFORE_NAMESPACE();
namespace slim {
namespace HWY_NAMESPACE {
namespace {

// c[r] (+)= sum over d of a[r][d] * b[d] for kRows rows and kVectors vectors of columns; d rises.
template <size_t kRows, size_t kVectors>
HWY_INLINE void Tile(const float* a, uint64_t a_stride, const float* b, uint64_t b_stride,
                     uint64_t depth, bool add, float* c, uint64_t c_stride) {
  V sum[kRows][kVectors];
  HWY_UNROLL(16)
  for (size_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(16)
    for (size_t v = 0; v < kVectors; ++v)
      sum[r][v] = add ? hn::LoadU(F(), c + r * c_stride + v * kWidth) : hn::Zero(F());
  }
  for (uint64_t d = 0; d < depth; ++d) {
    V column[kVectors];
    HWY_UNROLL(16)
    for (size_t v = 0; v < kVectors; ++v) column[v] = hn::LoadU(F(), b + d * b_stride + v * kWidth);
    HWY_UNROLL(16)
    for (size_t r = 0; r < kRows; ++r) {
      const V factor = Splat(a[r * a_stride + d]);
      HWY_UNROLL(16)
      for (size_t v = 0; v < kVectors; ++v) sum[r][v] = Fma(factor, column[v], sum[r][v]);
    }
  }
  HWY_UNROLL(16)
  for (size_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(16)
    for (size_t v = 0; v < kVectors; ++v) hn::StoreU(sum[r][v], F(), c + r * c_stride + v * kWidth);
  }
}

// As many sums as the registers hold beside the operands.
constexpr size_t kTileRows = kParts == 1 ? 6 : (kParts == 2 ? 4 : 1);
constexpr size_t kTileVectors = kParts == 1 ? 4 : 2;

// The first `columns`, a multiple of kLanes, of kRows rows of c (+)= a [kRows, depth] times b
// [depth, width].
template <size_t kRows>
HWY_INLINE void TileRow(const float* a, uint64_t a_stride, const float* b, uint64_t width,
                        uint64_t columns, uint64_t depth, bool add, float* c) {
  uint64_t j = 0;
  for (; j + kTileVectors * kWidth <= columns; j += kTileVectors * kWidth)
    Tile<kRows, kTileVectors>(a, a_stride, b + j, width, depth, add, c + j, width);
  if constexpr (kTileVectors > 2) {
    for (; j + 2 * kWidth <= columns; j += 2 * kWidth)
      Tile<kRows, 2>(a, a_stride, b + j, width, depth, add, c + j, width);
  }
  for (; j < columns; j += kWidth)
    Tile<kRows, 1>(a, a_stride, b + j, width, depth, add, c + j, width);
}

HWY_INLINE uint64_t WholeLanes(uint64_t columns) {
  return (columns + kLanes - 1) / kLanes * kLanes;
}

// Calls row_tile(rows of the tile, first row) with as many rows as a tile has, then with single
// ones.
template <class RowTile>
HWY_INLINE void ForRowTiles(uint64_t rows, const RowTile& row_tile) {
  uint64_t r = 0;
  for (; r + kTileRows <= rows; r += kTileRows)
    row_tile(std::integral_constant<size_t, kTileRows>(), r);
  for (; r < rows; ++r) row_tile(std::integral_constant<size_t, 1>(), r);
}

// One row of scores, of which `seen` count, to exponentials relative to the running maximum, up to
// the vector that has the last of them. Returns what sums up to here must be multiplied with.
HWY_INLINE float Exponentials(float* scores, const SeenInBlock& seen, float& max, float& total) {
  const uint64_t columns = WholeLanes(seen.to);
  if (seen.from > 0) std::fill_n(scores, seen.from, kMasked);
  if (seen.to < columns) std::fill(scores + seen.to, scores + columns, kMasked);
  V largest = Splat(max);
  for (size_t i = 0; i < columns; i += kWidth)
    largest = hn::Max(largest, hn::LoadU(F(), scores + i));
  const float new_max = hn::GetLane(hn::MaxOfLanes(F(), largest));
  Lanes sum = ZeroLanes();
  for (size_t i = 0; i < columns; i += kLanes) {
    HWY_UNROLL(16)
    for (size_t p = 0; p < kParts; ++p) {
      float* const at = scores + i + p * kWidth;
      const V e = Exp(hn::Sub(hn::LoadU(F(), at), Splat(new_max)));
      hn::StoreU(e, F(), at);
      sum.part[p] = hn::Add(sum.part[p], e);
    }
  }
  const float factor = max == new_max ? 1.0F : hn::GetLane(Exp(Splat(max - new_max)));
  max = new_max;
  total = total * factor + FoldLanes(sum);
  return factor;
}

HWY_INLINE void Multiply(float* values, uint64_t width, float factor) {
  for (uint64_t j = 0; j < width; j += kWidth)
    hn::StoreU(hn::Mul(hn::LoadU(F(), values + j), Splat(factor)), F(), values + j);
}

// The values of `count` positions in rows of `width`.
HWY_INLINE const float* PaddedValues(const AttentionRows& job, uint64_t base, uint64_t count,
                                     uint64_t width, Workspace& work) {
  const float* values = job.values + base * job.value_dim;
  if (width == job.value_dim) return values;
  work.values.assign(kKeys * width, 0.0F);
  for (uint64_t i = 0; i < count; ++i)
    std::copy_n(values + i * job.value_dim, job.value_dim, work.values.data() + i * width);
  return work.values.data();
}

#if HWY_TARGET != HWY_SCALAR
// to [4, kKeys] = from [4, stride] transposed, both from their first column on.
HWY_INLINE void Transpose4x4(const float* from, uint64_t stride, float* to) {
  const hn::FixedTag<float, 4> four;
  const hn::Repartition<double, decltype(four)> pairs;
  const auto row = [&](uint64_t i) HWY_ATTR { return hn::LoadU(four, from + i * stride); };
  const auto as_pairs = [&](auto v) HWY_ATTR { return hn::BitCast(pairs, v); };
  const auto low01 = as_pairs(hn::InterleaveLower(four, row(0), row(1)));
  const auto low23 = as_pairs(hn::InterleaveLower(four, row(2), row(3)));
  const auto high01 = as_pairs(hn::InterleaveUpper(four, row(0), row(1)));
  const auto high23 = as_pairs(hn::InterleaveUpper(four, row(2), row(3)));
  const auto store = [&](auto v, uint64_t i)
                         HWY_ATTR { hn::StoreU(hn::BitCast(four, v), four, to + i * kKeys); };
  store(hn::InterleaveLower(pairs, low01, low23), 0);
  store(hn::InterleaveUpper(pairs, low01, low23), 1);
  store(hn::InterleaveLower(pairs, high01, high23), 2);
  store(hn::InterleaveUpper(pairs, high01, high23), 3);
}
#endif

// keys [count, dim] to columns [dim, kKeys], zeros behind them.
HWY_INLINE void TransposeKeys(const float* keys, uint64_t count, uint64_t dim, float* columns) {
  uint64_t whole_keys = 0;
  uint64_t whole_dims = 0;
#if HWY_TARGET != HWY_SCALAR
  whole_keys = count / 4 * 4;
  whole_dims = dim / 4 * 4;
  for (uint64_t i = 0; i < whole_keys; i += 4) {
    for (uint64_t d = 0; d < whole_dims; d += 4)
      Transpose4x4(keys + i * dim + d, dim, columns + d * kKeys + i);
  }
#endif
  for (uint64_t d = 0; d < dim; ++d) {
    float* const column = columns + d * kKeys;
    for (uint64_t i = d < whole_dims ? whole_keys : 0; i < count; ++i)
      column[i] = keys[i * dim + d];
    std::fill(column + count, column + kKeys, 0.0F);
  }
}

void Block(const AttentionRows& job, uint64_t base, uint64_t count, uint64_t width,
           Workspace& work) {
  const float* keys = job.keys + base * job.key_dim;
  TransposeKeys(keys, count, job.key_dim, work.keys.data());
  const float* const columns = work.keys.data();
  const float* const values = PaddedValues(job, base, count, width, work);
  ForRowTiles(job.rows, [&](auto tile, uint64_t first) HWY_ATTR {
    constexpr size_t kRows = decltype(tile)::value;
    const SeenInBlock tile_sees(job, base, first, kRows);
    if (tile_sees.from >= tile_sees.to) return;
    float* const scores = work.scores.data();
    float* const sums = work.sums.data() + first * width;
    TileRow<kRows>(job.queries + first * job.key_dim, job.key_dim, columns, kKeys,
                   WholeLanes(tile_sees.to), job.key_dim, false, scores);
    for (size_t r = 0; r < kRows; ++r) {
      float* const row = scores + r * kKeys;
      const SeenInBlock seen(job, base, first + r, 1);
      uint64_t written = 0;
      if (seen.from < seen.to) {
        const float factor = Exponentials(row, seen, work.max[first + r], work.total[first + r]);
        if (factor != 1.0F) Multiply(sums + r * width, width, factor);
        written = WholeLanes(seen.to);
      }
      std::fill(row + written, row + std::max(written, tile_sees.to), 0.0F);
    }
    TileRow<kRows>(scores, kKeys, values, width, width, tile_sees.to, true, sums);
  });
}

void Rows(const AttentionRows& job, Workspace& work) {
  const uint64_t width = (job.value_dim + kLanes - 1) / kLanes * kLanes;
  const uint64_t first = *std::min_element(job.begin, job.begin + job.rows) / kKeys * kKeys;
  const uint64_t last = *std::max_element(job.end, job.end + job.rows);
  const uint64_t elements = job.rows * job.key_dim;
  for (uint64_t i = 0; i < elements; i += kWidth) {
    const V scaled = hn::Mul(LoadAt(F(), job.queries, i, elements), Splat(job.scale));
    StoreAt(scaled, F(), job.queries, i, elements);
  }
  work.keys.resize(job.key_dim * kKeys);
  work.scores.resize(kTileRows * kKeys);
  work.sums.assign(job.rows * width, 0.0F);
  work.max.assign(job.rows, kMasked);
  work.total.assign(job.rows, 0.0F);
  for (uint64_t base = first; base < last; base += kKeys)
    Block(job, base, std::min(kKeys, last - base), width, work);
  for (uint64_t r = 0; r < job.rows; ++r) {
    float* const out = job.out + r * job.value_dim;
    for (uint64_t j = 0; j < job.value_dim; j += kWidth) {
      const V sum = hn::LoadU(F(), work.sums.data() + r * width + j);
      StoreAt(hn::Div(sum, Splat(work.total[r])), F(), out, j, job.value_dim);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace slim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace slim {

HWY_EXPORT(Rows);

void AttendRows(const AttentionRows& job) {
  thread_local Workspace work;
  if (job.rows > 0) SLIM_DISPATCH(Rows)(job, work);
}

}  // namespace slim
#endif  // HWY_ONCE
