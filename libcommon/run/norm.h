// RMSNorm with weight and, in anti-outlier checkpoints, a bias added to its output.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "parallel/thread_pool.h"

namespace slim {

// A float tensor of shape [size] as float32. CK-missing-tensor, LIN-shape, LIN-dtype.
Result<std::vector<float>> LoadFloatVector(const Checkpoint& checkpoint, const std::string& name,
                                           uint64_t size);

struct Norm {
  std::string name;
  std::vector<float> weight;
  std::vector<float> bias;  // empty: none

  // `<name>.weight` [size] and, where the checkpoint has it, `<name>.bias` [size].
  static Result<Norm> Load(const Checkpoint& checkpoint, std::string_view name, uint64_t size);
  // x and y are [rows, size] and may be the same array.
  void Apply(const float* x, uint64_t rows, float eps, float* y, ThreadPool& pool) const;
  uint64_t bytes() const { return (weight.size() + bias.size()) * sizeof(float); }
};

}  // namespace slim
