// Float weights to int8 and int4 codes: the methods that need no calibration inputs, or only how
// much each input channel matters. Ranges and rounding are linear/int8.h's.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "linear/int8.h"
#include "parallel/thread_pool.h"
#include "quant/recipe.h"
#include "quant/weight_rows.h"
#include "tensor/tensor.h"

namespace slim {

struct IntegerWeight {
  Tensor codes;               // I8 [n, k], one code a byte
  std::vector<float> scale;   // [n, groups]
  std::vector<float> offset;  // [n, groups], integral codes; zeros where symmetric
};

// What a row is quantized to, whatever the method.
struct IntegerGrid {
  uint32_t bits = 8;
  bool symmetric = true;
  uint64_t group_size = 0;  // of k; k itself for one scale a row
  DType compute = DType::kF32;
};
IntegerGrid GridOf(const WeightSettings& settings, uint64_t k, DType compute);

// Codes and scales of the right size, not filled.
IntegerWeight AllocateIntegers(const WeightRows& rows, const IntegerGrid& grid);

// The range of one row or group: its extremes, narrowed where settings.clip says so.
QuantizationRange ChooseUnitRange(std::span<const float> values, std::span<const float> importance,
                                  const WeightSettings& settings, const IntegerGrid& grid);

// The sparse type w8a8s: int8 codes whose bulk keeps within 4 bits, so that many are zero, while
// outliers, by share or by distance in standard deviations (settings.sparse_…), keep 8 bits. One
// scale a row (facts: algorithms.md 5.1; the peer's own search is closed).
IntegerWeight QuantizeSparse(const WeightRows& rows, const WeightSettings& settings,
                             ThreadPool& pool);

// Methods minmax, ssz, hqq and awq. `importance` [k], or empty, weighs the squared error of a
// column: Σ x² of the calibration inputs.
//   minmax  the range of the row or group; with clip mse, or method awq, the range times the factor
//           of a grid that loses least
//   ssz     scales by least squares from the codes, codes from the scales, until nothing is gained
//           (facts: algorithms.md 2.3). `as_written`: msModelSlim's loop, in which all rows stop
//           together, computed in the grid's dtype.
//   hqq     the same with a robust loss: errors are shrunk by the proximal step of |e|^0.7; the
//           offset too, where the grid has one
// Values are finite.
IntegerWeight QuantizeIntegers(const WeightRows& rows, const WeightSettings& settings,
                               std::span<const float> importance, bool as_written,
                               ThreadPool& pool);

}  // namespace slim
