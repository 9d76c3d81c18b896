// FP8 e4m3fn with one scale an output channel (WFP8AFP8_DYNAMIC). Facts: formats.md 6.7.
#pragma once

#include <cstdint>
#include <span>

#include "dtype/dtype.h"

namespace slim {

inline constexpr float kFp8Max = 448.0F;

// `values` with its scale: max(R(max(amax, 1e-12) / 448)); bytes are e4m3fn of clamp(R(x / scale),
// ±448). R rounds to `compute`. Returns the scale. No NaN.
float QuantizeRowFp8(std::span<const float> values, DType compute, std::span<uint8_t> bytes);

void DequantizeRowFp8(std::span<const uint8_t> bytes, float scale, std::span<float> values);

}  // namespace slim
