#include "dtype/dtype.h"

#include <array>
#include <cassert>

namespace slim {
namespace {

struct Row {
  std::string_view name;
  uint32_t bits;
  bool floating;
};

constexpr Row kRows[] = {
#define SLIM_DTYPE(enumerator, name, bits, floating) {name, bits, floating},
#include "dtype/dtype.def"
#undef SLIM_DTYPE
};

struct ModelDTypeName {
  std::string_view name;
  DType dtype;
};

constexpr std::array<ModelDTypeName, 10> kModelDTypes = {{{"bfloat16", DType::kBF16},
                                                          {"float16", DType::kF16},
                                                          {"float32", DType::kF32},
                                                          {"bf16", DType::kBF16},
                                                          {"fp16", DType::kF16},
                                                          {"fp32", DType::kF32},
                                                          {"BF16", DType::kBF16},
                                                          {"F16", DType::kF16},
                                                          {"F32", DType::kF32},
                                                          {"half", DType::kF16}}};

}  // namespace

std::string_view DTypeName(DType dtype) { return kRows[static_cast<size_t>(dtype)].name; }
uint32_t DTypeBits(DType dtype) { return kRows[static_cast<size_t>(dtype)].bits; }
bool IsFloating(DType dtype) { return kRows[static_cast<size_t>(dtype)].floating; }

std::optional<DType> ParseDType(std::string_view name) {
  for (size_t i = 0; i < std::size(kRows); ++i) {
    if (kRows[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

std::vector<std::string> DTypeNames() {
  std::vector<std::string> names;
  for (const Row& row : kRows) names.emplace_back(row.name);
  return names;
}

std::optional<DType> ParseModelDType(std::string_view name) {
  constexpr std::string_view kPrefix = "torch.";
  if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
  for (const ModelDTypeName& row : kModelDTypes) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

std::string_view TorchDTypeName(DType dtype) {
  for (const ModelDTypeName& row : kModelDTypes) {
    if (row.dtype == dtype) return row.name;
  }
  assert(false && "not a model dtype");
  return "";
}

}  // namespace slim
