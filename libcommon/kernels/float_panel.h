// Float products of a few rows with one panel of packed weights. Internal to kernels:
// packed_matmul.h is the front.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/packed_matrix.h"

namespace slim {

struct FloatPanel {
  const float* x;  // [k, rows]
  uint64_t rows;   // 1 .. MostPanelRows()
  const std::byte* w;
  uint64_t k;
  bool add;  // to what y holds
  float* y;  // kPanelColumns a row
  uint64_t y_stride;
};

// Of the chosen instruction set.
uint64_t MostPanelRows();
// For panels of F32, BF16 or F16; `x` by PackRows.
void MultiplyPanel(DType dtype, const FloatPanel& job);
// x [rows, k] to [k, rows].
void PackRows(const float* x, uint64_t rows, uint64_t k, float* to);

}  // namespace slim
