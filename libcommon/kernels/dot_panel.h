// Products of a few rows with one panel of packed weights whose steps take four bytes and go
// through one instruction: four int8 codes, or two bf16. The body (dot_panel.inc) is compiled for
// every instruction set that has one. Internal to kernels: packed_matmul.h is the front.
#pragma once

#include <cstddef>
#include <cstdint>

namespace slim {

template <class Value>
struct DotPanel {
  const std::byte* x;  // rows packed by DotKernels::pack
  uint64_t rows;       // 1 .. DotKernels::most_rows
  const std::byte* w;  // one panel (kernels/packed_matrix.h)
  uint64_t steps;
  const Value* starts;  // [rows]: what the sums of a row start from
  Value* y;             // kPanelColumns sums a row
  uint64_t y_stride;
};

template <class Value>
struct DotKernels {
  uint64_t most_rows;
  uint64_t step_bytes;  // what a step of a packed row takes
  // Contiguous rows, `bytes` each, to [step][row].
  void (*pack)(const std::byte* x, uint64_t rows, uint64_t bytes, std::byte* to);
  void (*multiply)(const DotPanel<Value>& job);
};

}  // namespace slim
