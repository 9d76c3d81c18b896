#include "run/norm.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/convert.h"
#include "kernels/transformer.h"

namespace slim {

Result<std::vector<float>> LoadFloatVector(const Checkpoint& checkpoint, const std::string& name,
                                           uint64_t size) {
  SLIM_ASSIGN(const Tensor tensor, checkpoint.Read(name));
  if (tensor.shape != Shape{size}) {
    return InputError("LIN-shape", fmt::format("has shape {}, config.json wants {}",
                                               ShapeText(tensor.shape), ShapeText({size})))
        .WithTensor(name)
        .WithPath(checkpoint.path());
  }
  if (tensor.dtype != DType::kF32 && tensor.dtype != DType::kF16 && tensor.dtype != DType::kBF16) {
    return InputError("LIN-dtype", fmt::format("has dtype {}, wanted F32 or F16 or BF16",
                                               DTypeName(tensor.dtype)))
        .WithTensor(name)
        .WithPath(checkpoint.path());
  }
  std::vector<float> values(size);
  ToFloat(tensor.dtype, tensor.data.data(), values.data(), size);
  return values;
}

Result<Norm> Norm::Load(const Checkpoint& checkpoint, std::string_view name, uint64_t size) {
  Norm norm;
  norm.name = name;
  SLIM_ASSIGN(norm.weight, LoadFloatVector(checkpoint, norm.name + ".weight", size));
  const std::string bias = norm.name + ".bias";
  if (checkpoint.Find(bias) != nullptr) {
    SLIM_ASSIGN(norm.bias, LoadFloatVector(checkpoint, bias, size));
  }
  return norm;
}

void Norm::Apply(const float* x, uint64_t rows, float eps, float* y, ThreadPool& pool) const {
  const uint64_t size = weight.size();
  const uint64_t grain = std::max<uint64_t>(1, 8192 / size);
  pool.ParallelFor(rows, grain, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      RmsNorm(x + i * size, weight.data(), size, eps, y + i * size);
      if (!bias.empty()) AddInPlace(y + i * size, bias.data(), size);
    }
  });
}

}  // namespace slim
