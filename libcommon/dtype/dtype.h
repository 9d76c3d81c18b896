// Element types of tensors: names, widths and order, all read from dtype.def.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim {

// Ordered by the rank that the reference writer sorts by.
enum class DType : uint8_t {
#define SLIM_DTYPE(enumerator, name, bits, floating) enumerator,
#include "dtype/dtype.def"
#undef SLIM_DTYPE
};

std::string_view DTypeName(DType dtype);
uint32_t DTypeBits(DType dtype);
bool IsFloating(DType dtype);
std::optional<DType> ParseDType(std::string_view name);
std::vector<std::string> DTypeNames();

// The model dtypes: BF16, F16 and F32 by the names of config.json ("bfloat16", "float16",
// "float32", with or without "torch."), of the command line ("bf16", "fp16", "fp32") and of
// safetensors; nothing for any other name.
std::optional<DType> ParseModelDType(std::string_view name);
// "bfloat16", "float16" or "float32"; only for the model dtypes.
std::string_view TorchDTypeName(DType dtype);

}  // namespace slim
