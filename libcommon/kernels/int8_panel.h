// Exact int8 products of a few rows with one panel of packed weights, one body per instruction set.
// Internal to kernels: packed_matmul.h is the front.
#pragma once

#include <cstddef>
#include <cstdint>

namespace slim {

struct Int8Panel {
  const std::byte* x;  // rows packed by Int8Kernels::pack
  uint64_t rows;       // 1 .. Int8Kernels::most_rows
  const std::byte* w;  // one panel (kernels/packed_matrix.h)
  uint64_t steps;      // of four codes
  // [rows]: what the sums of a row start from, -kCodeShift times the sum of its codes.
  const int32_t* starts;
  int32_t* y;  // kPanelColumns sums a row
  uint64_t y_stride;
};

struct Int8Kernels {
  uint64_t most_rows;
  uint64_t step_bytes;  // what four codes of a packed row take
  // Rows of k contiguous codes to [step][row].
  void (*pack)(const int8_t* x, uint64_t rows, uint64_t k, std::byte* to);
  void (*multiply)(const Int8Panel& job);
};

// For CurrentIsa() on this processor.
const Int8Kernels& ChooseInt8Kernels();

}  // namespace slim
