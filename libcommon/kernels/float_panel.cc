#include "kernels/float_panel.h"

#include <cassert>
#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/dispatch.h"
#include "kernels/exp_constants.h"
#include "kernels/prefetch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/float_panel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/simd.inc"

HWY_BEFORE_NAMESPACE();
namespace slim {
namespace HWY_NAMESPACE {
namespace {

// As many sums as the registers hold beside the operands: 24 of 32, or 12 of 16; fewer where a
// fused multiply-add is many instructions.
constexpr size_t kVectors = kParts == 4 ? 4 : 2;
constexpr size_t kMostRows = kParts == 1 ? 12 : (HWY_NATIVE_FMA ? 6 : 2);

// Rows and vectors are packs, not loops: an array that a loop walks would stay in memory.
using AllVectors = std::make_index_sequence<kVectors>;

struct RowSums {
  HWY_INLINE RowSums() {}  // written out as that of Lanes
  V part[kVectors];
};

template <size_t... kVector>
HWY_INLINE void StartRow(RowSums& sums, bool add, const float* y, std::index_sequence<kVector...>) {
  ((sums.part[kVector] = add ? hn::LoadU(F(), y + kVector * kWidth) : hn::Zero(F())), ...);
}

// A step of a panel (kernels/packed_matrix.h): how many elements it has, and element kElement of
// the kWidth columns from column i on.
template <class Source>
struct SingleStep {
  static constexpr size_t kElements = 1;
  static constexpr size_t kBytes = sizeof(typename Source::Element);
  template <size_t kElement>
  static HWY_INLINE V Load(const std::byte* step, size_t i) {
    return Source::Load(step, i);
  }
};
struct Bf16Step {
  static constexpr size_t kElements = 2;
  static constexpr size_t kBytes = 4;
  template <size_t kElement>
  static HWY_INLINE V Load(const std::byte* step, size_t i) {
    const auto pair = hn::LoadU(U(), reinterpret_cast<const uint32_t*>(step) + i);
    if constexpr (kElement == 0) return hn::BitCast(F(), hn::ShiftLeft<16>(pair));
    return hn::BitCast(F(), hn::And(pair, hn::Set(U(), 0xFFFF0000U)));
  }
};

template <size_t... kVector>
HWY_INLINE void AddRow(RowSums& sums, const RowSums& weights, float x,
                       std::index_sequence<kVector...>) {
  const V factor = Splat(x);
  ((sums.part[kVector] = Fma(factor, weights.part[kVector], sums.part[kVector])), ...);
}

template <size_t... kVector>
HWY_INLINE void StoreRow(const RowSums& sums, float* y, std::index_sequence<kVector...>) {
  (hn::StoreU(sums.part[kVector], F(), y + kVector * kWidth), ...);
}

template <class Step, size_t kElement, size_t... kVector, size_t... kRow>
HWY_INLINE void AddElement(RowSums* sums, const float* x, const std::byte* step,
                           std::index_sequence<kVector...> vectors, std::index_sequence<kRow...>) {
  RowSums weights;
  ((weights.part[kVector] = Step::template Load<kElement>(step, kVector * kWidth)), ...);
  (AddRow(sums[kRow], weights, x[kElement * sizeof...(kRow) + kRow], vectors), ...);
}

template <class Step, size_t... kVector, size_t... kRow>
HWY_INLINE void RunTile(const FloatPanel& job, size_t first_column,
                        std::index_sequence<kVector...> vectors,
                        std::index_sequence<kRow...> rows) {
  RowSums sums[sizeof...(kRow)];
  float* const y = job.y + first_column;
  (StartRow(sums[kRow], job.add, y + kRow * job.y_stride, vectors), ...);
  const float* x = job.x;
  const std::byte* w = job.w + first_column * Step::kBytes;
  constexpr uint64_t kStepBytes = kPanelColumns * Step::kBytes;
  const uint64_t steps = job.k / Step::kElements;
  for (uint64_t i = 0; i < steps; ++i, x += Step::kElements * sizeof...(kRow), w += kStepBytes) {
    if constexpr (sizeof...(kRow) <= kStreamedRows) PrefetchStep<kStepBytes>(w);
    AddElement<Step, 0>(sums, x, w, vectors, rows);
    if constexpr (Step::kElements == 2) AddElement<Step, 1>(sums, x, w, vectors, rows);
  }
  if (job.k % Step::kElements != 0) AddElement<Step, 0>(sums, x, w, vectors, rows);
  (StoreRow(sums[kRow], y + kRow * job.y_stride, vectors), ...);
}

template <class Step, size_t kRows>
void Tile(const FloatPanel& job, size_t first_column) {
  RunTile<Step>(job, first_column, AllVectors(), std::make_index_sequence<kRows>());
}

template <class Step, size_t... kRow>
void ChooseTile(const FloatPanel& job, size_t first_column, std::index_sequence<kRow...>) {
  constexpr void (*kTiles[])(const FloatPanel&, size_t) = {Tile<Step, kRow + 1>...};
  kTiles[job.rows - 1](job, first_column);
}

template <class Step>
void Multiply(const FloatPanel& job) {
  for (size_t column = 0; column < kPanelColumns; column += kVectors * kWidth)
    ChooseTile<Step>(job, column, std::make_index_sequence<kMostRows>());
}

void MultiplyF32(const FloatPanel& job) { Multiply<SingleStep<FromF32>>(job); }
void MultiplyBf16(const FloatPanel& job) { Multiply<Bf16Step>(job); }
void MultiplyF16(const FloatPanel& job) { Multiply<SingleStep<FromF16>>(job); }
uint64_t MostRows() { return kMostRows; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace slim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace slim {

HWY_EXPORT(MultiplyF32);
HWY_EXPORT(MultiplyBf16);
HWY_EXPORT(MultiplyF16);
HWY_EXPORT(MostRows);

uint64_t MostPanelRows() { return SLIM_DISPATCH(MostRows)(); }

void MultiplyPanel(DType dtype, const FloatPanel& job) {
  if (dtype == DType::kF32) {
    SLIM_DISPATCH(MultiplyF32)(job);
  } else if (dtype == DType::kBF16) {
    SLIM_DISPATCH(MultiplyBf16)(job);
  } else {
    assert(dtype == DType::kF16);
    SLIM_DISPATCH(MultiplyF16)(job);
  }
}

void PackRows(const float* x, uint64_t rows, uint64_t k, float* to) {
  for (uint64_t r = 0; r < rows; ++r) {
    for (uint64_t i = 0; i < k; ++i) to[i * rows + r] = x[r * k + i];
  }
}

}  // namespace slim
#endif  // HWY_ONCE
