// FP8 weights with one scale a block, as DeepSeek and Qwen publish them: `weight` F8_E4M3 [n, k]
// and `weight_scale_inv` F32 [⌈n/rows⌉, ⌈k/columns⌉], which multiplies, despite its name; the last
// blocks may be partial. Facts: ecosystem.md 2 E. Knows no file: Checkpoint::OpenFloat reads.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "json/json.h"
#include "tensor/shape.h"

namespace slim {

inline constexpr std::string_view kFp8ScaleSuffix = "weight_scale_inv";

// [rows, columns] of a block, of weight_block_size in quantization_config with quant_method fp8.
// Errors: CF-missing-key, CF-bad-value, CF-unsupported (scales that are no blocks).
Result<std::array<uint64_t, 2>> ReadFp8BlockSize(const Json& config);

// [⌈n/rows⌉, ⌈k/columns⌉].
Shape Fp8ScaleShape(const Shape& weight, const std::array<uint64_t, 2>& block);

// values[i] = float(codes[i]) · scale of its block, for the elements `first` … of a weight with `k`
// columns. `scales` begins with the row of blocks that holds `first`.
void DequantizeFp8Blocks(std::span<const std::byte> codes, uint64_t first, uint64_t k,
                         const std::array<uint64_t, 2>& block, std::span<const float> scales,
                         std::span<float> values);

}  // namespace slim
