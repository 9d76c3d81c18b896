// Exact int8 products of a block of rows, one body per instruction set. Internal to kernels:
// MatMulInt8 is the front.
#pragma once

#include <cstdint>

namespace slim {

// y[i * y_stride + j] = sum over k of x[i, k] * w[j, k] for `t` rows of x and `n` rows of w, each
// `k` codes long and contiguous. x_sum[i] is the sum of row i of x.
struct Int8Block {
  const int8_t* x;
  const int32_t* x_sum;
  uint64_t t;
  const int8_t* w;
  uint64_t n;
  uint64_t k;
  int32_t* y;
  uint64_t y_stride;
};

using Int8BlockFunction = void (*)(const Int8Block& block);

// The body for CurrentIsa() on this processor.
Int8BlockFunction ChooseInt8Block();

}  // namespace slim
