// One element at a time between float32 and the narrow float types, bit for bit as torch on a CPU:
// round to nearest, ties to even, subnormals kept, NaN stays a (quiet) NaN. Arrays are the kernels'
// business.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace slim {

inline float Bf16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

inline uint16_t FloatToBf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return 0x7FC0;
  return static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

inline float F16ToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000U) << 16;
  const uint32_t exponent = (half >> 10) & 0x1FU;
  const uint32_t mantissa = half & 0x3FFU;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13));
  if (exponent != 0)
    return std::bit_cast<float>(sign | ((exponent + 112U) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

inline uint16_t FloatToF16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return static_cast<uint16_t>(sign | 0x7E00U);
  if (magnitude >= 0x477FF000U) return static_cast<uint16_t>(sign | 0x7C00U);  // rounds above 65504
  if (magnitude < 0x38800000U) {
    // Subnormal in F16: adding 0.5 leaves the rounded multiple of 2^-24 in the low mantissa bits.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3F000000U));
  }
  const uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13) & 1U);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000U) >> 13));
}

// e4m3fn: no infinity, 0x7F and 0xFF are NaN.
inline float F8E4M3ToFloat(uint8_t byte) {
  const uint32_t exponent = (byte >> 3) & 0xFU;
  const uint32_t mantissa = byte & 7U;
  const float sign = (byte & 0x80U) != 0 ? -1.0F : 1.0F;
  if (exponent == 0xF && mantissa == 7) return std::bit_cast<float>(0x7FC00000U);
  if (exponent == 0) return sign * static_cast<float>(mantissa) * 0x1p-9F;
  return sign * std::bit_cast<float>(((exponent + 120U) << 23) | (mantissa << 20));
}

// Nearest, ties to even; what rounds above 448 is NaN, as in torch.
inline uint8_t FloatToF8E4M3(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint8_t>((bits >> 24) & 0x80U);
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude >= 0x43F00000U) return static_cast<uint8_t>(sign | 0x7FU);
  if (magnitude < 0x3C800000U) {
    // Subnormal: adding 2^14 leaves the rounded multiple of 2^-9 in the low mantissa bits.
    const float shifted = std::bit_cast<float>(magnitude) + 0x1p14F;
    return static_cast<uint8_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x46800000U));
  }
  const uint32_t rounded = magnitude + 0x7FFFFU + ((magnitude >> 20) & 1U);
  return static_cast<uint8_t>(sign | ((rounded - 0x3C000000U) >> 20));
}

// The I64 form of `deq_scale`: the float32 bits, sign-extended (facts: formats.md 6.4).
inline int64_t FloatToDeqBits(float value) {
  return static_cast<int64_t>(std::bit_cast<int32_t>(value));
}
inline float DeqBitsToFloat(int64_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(static_cast<uint64_t>(bits) & 0xFFFFFFFFULL));
}

}  // namespace slim
