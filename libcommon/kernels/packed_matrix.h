// Weights rearranged once, so that a product streams them and needs no sum across a vector: panels
// of kPanelColumns rows of w side by side, [panel][k / step][column][step], where a step is four
// consecutive int8 codes, two bf16, or one other float. What is missing of a step, and missing
// columns, are zeros.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dtype/dtype.h"
#include "tensor/tensor.h"

namespace slim {

constexpr uint64_t kPanelColumns = 32;

struct PackedMatrix {
  DType dtype = DType::kF32;  // F32, BF16, F16 or I8
  uint64_t n = 0;
  uint64_t k = 0;
  Buffer data;

  bool empty() const { return data.size() == 0; }
  uint64_t panels() const { return (n + kPanelColumns - 1) / kPanelColumns; }
  uint64_t step_elements() const {
    return dtype == DType::kI8 ? 4 : (dtype == DType::kBF16 ? 2 : 1);
  }
  uint64_t step_bytes() const { return step_elements() * (DTypeBits(dtype) / 8); }
  // Of one column.
  uint64_t steps() const { return (k + step_elements() - 1) / step_elements(); }
  // Of a panel, from its first row on; `elements` are whole steps.
  uint64_t bytes_of(uint64_t elements) const {
    return elements / step_elements() * step_bytes() * kPanelColumns;
  }
  uint64_t panel_bytes() const { return steps() * step_bytes() * kPanelColumns; }
  const std::byte* panel(uint64_t index) const { return data.data() + index * panel_bytes(); }
};

// Packs w [n, k], whose rows are `stride` bytes apart.
PackedMatrix PackMatrix(DType dtype, uint64_t n, uint64_t k, const std::byte* w, uint64_t stride);
// The same of contiguous rows, in their own memory where the sizes agree.
PackedMatrix PackMatrix(DType dtype, uint64_t n, uint64_t k, Buffer rows);
// Row `index` of w as it was: k elements of the dtype.
void UnpackRow(const PackedMatrix& w, uint64_t index, std::byte* row);

// What codes are stored with, by exclusive or: dot product instructions of x86 want one operand
// unsigned, and code + 128 is.
#if defined(__x86_64__)
constexpr int32_t kCodeShift = 128;
#else
constexpr int32_t kCodeShift = 0;
#endif

}  // namespace slim
