// The rows of one float weight as the weight methods see them: float32, with the column scales of
// smoothing applied. Holds no memory of its own.
#pragma once

#include <span>

#include "base/result.h"
#include "dtype/dtype.h"
#include "parallel/thread_pool.h"
#include "tensor/tensor.h"

namespace slim {

struct WeightRows {
  TensorView weight;                    // [n, k], F32, F16 or BF16
  std::span<const float> column_scale;  // [k], or empty
  DType compute = DType::kF32;          // scaled values are rounded to it

  uint64_t n() const { return weight.shape[0]; }
  uint64_t k() const { return weight.shape[1]; }
  void Load(uint64_t row, std::span<float> values) const;
};

// False when any value of a weight in F32, F16 or BF16 is NaN or infinite.
bool IsFinite(const TensorView& weight, ThreadPool& pool);

}  // namespace slim
