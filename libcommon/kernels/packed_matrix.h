// Weights rearranged once, so that a product streams them and needs no sum across a vector: panels
// of kPanelColumns rows of w side by side, [panel][k / step][column][step], where a step is one
// float or four consecutive int8 codes. Missing columns and codes count as zeros.
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
  // Of one column.
  uint64_t steps() const { return dtype == DType::kI8 ? (k + 3) / 4 : k; }
  uint64_t step_bytes() const { return dtype == DType::kI8 ? 4 : DTypeBits(dtype) / 8; }
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
