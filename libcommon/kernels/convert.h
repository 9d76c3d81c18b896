// Arrays between float32 and the floating dtypes that models use, bit for bit as
// dtype/scalar_convert.h. Byte pointers need no alignment. Knows no shapes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dtype/dtype.h"

namespace slim {

// F32, BF16, F16 and F8_E4M3.
bool CanConvertToFloat(DType dtype);
// F32, BF16 and F16.
bool CanConvertFromFloat(DType dtype);

// `count` elements of `dtype` (CanConvertToFloat) to float.
void ToFloat(DType dtype, const std::byte* from, float* to, uint64_t count);
// Rounds to nearest, ties to even; `dtype` per CanConvertFromFloat.
void FromFloat(DType dtype, const float* from, std::byte* to, uint64_t count);
// To `dtype` (CanConvertFromFloat) and back, in place; F32 changes nothing.
void RoundToDType(DType dtype, float* values, uint64_t count);
// One value.
inline float Rounded(float value, DType dtype) {
  RoundToDType(dtype, &value, 1);
  return value;
}

}  // namespace slim
