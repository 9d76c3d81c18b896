// The tensors of a checkpoint as a table: name, dtype, shape, bytes, label, file. For people and
// scripts; judges nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "dtype/dtype.h"
#include "tensor/shape.h"

namespace slim {

struct TensorRow {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  uint64_t bytes = 0;
  std::string label;  // of the description; empty without one
  std::string shard;  // file name
};

// In natural order of the names ("layers.2" before "layers.10"). The checkpoint must be sound
// enough to be opened.
Result<std::vector<TensorRow>> ListTensors(const std::string& path);

}  // namespace slim
