#include "checkpoint/fp8_block.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "kernels/convert.h"

namespace slim {

Result<std::array<uint64_t, 2>> ReadFp8BlockSize(const Json& config) {
  constexpr std::string_view kKey = "quantization_config.weight_block_size";
  const Json* quantization = config.Find("quantization_config");
  const Json* size = quantization == nullptr ? nullptr : quantization->Find("weight_block_size");
  if (size == nullptr || size->is_null()) {
    return InputError(
        "CF-unsupported",
        fmt::format("config.json has no '{}': slim reads FP8 with a scale a block", kKey));
  }
  std::array<uint64_t, 2> block{};
  bool ok = size->is_array() && size->items().size() == 2;
  for (size_t i = 0; ok && i < 2; ++i) {
    const auto value = size->items()[i].AsInteger();
    ok = value && *value > 0 && *value <= (1 << 20);
    if (ok) block[i] = static_cast<uint64_t>(*value);
  }
  if (ok) return block;
  return InputError(
      "CF-bad-value",
      fmt::format("config.json '{}' is {}, wanted two positive integers", kKey, DumpJson(*size)));
}

Shape Fp8ScaleShape(const Shape& weight, const std::array<uint64_t, 2>& block) {
  return {(weight[0] + block[0] - 1) / block[0], (weight[1] + block[1] - 1) / block[1]};
}

void DequantizeFp8Blocks(std::span<const std::byte> codes, uint64_t first, uint64_t k,
                         const std::array<uint64_t, 2>& block, std::span<const float> scales,
                         std::span<float> values) {
  ToFloat(DType::kF8E4M3, codes.data(), values.data(), values.size());
  const uint64_t columns = (k + block[1] - 1) / block[1];
  const uint64_t first_row = first / k / block[0];
  for (uint64_t i = 0; i < values.size();) {
    const uint64_t row = (first + i) / k;
    const uint64_t column = (first + i) % k;
    const uint64_t block_end = std::min(k, (column / block[1] + 1) * block[1]);
    const uint64_t count = std::min(values.size() - i, block_end - column);
    const float scale = scales[(row / block[0] - first_row) * columns + column / block[1]];
    for (uint64_t end = i + count; i < end; ++i) values[i] *= scale;
  }
}

}  // namespace slim
