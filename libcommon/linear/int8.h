// Integer arithmetic shared by the schemes: ranges to scales and offsets.
// `compute` is the dtype every elementwise step is rounded to (--compute model: the checkpoint's,
// as torch does; --compute fp32: F32). Formulas: facts algorithms.md 2.1 and 2.2, formats.md 6.1
// to 6.3.
#pragma once

#include <cstdint>
#include <span>

#include "dtype/dtype.h"

namespace slim {

struct QuantizationRange {
  float scale = 0;
  float offset = 0;  // integral, a code
};

// Codes of `bits` (8 or 4): [-2^(bits−1), 2^(bits−1) − 1].
inline constexpr int LowestCode(uint32_t bits) { return -(1 << (bits - 1)); }
inline constexpr int HighestCode(uint32_t bits) { return (1 << (bits - 1)) - 1; }

// min <= 0 <= max is enforced. scale = max(R(R(max/Q) − R(min/Q)), 2⁻²³) with Q = 2^bits − 1,
// offset = R(R(rne(R(−min/scale))) − 2^(bits−1)). `stored` is the dtype the scale will be kept in:
// it is rounded to it before the offset is derived (source document S001).
QuantizationRange AsymmetricRange(float min, float max, uint32_t bits, DType compute,
                                  DType stored = DType::kF32);
// scale = max(R(amax / (2^(bits−1) − 1)), 2⁻²³), offset 0.
QuantizationRange SymmetricRange(float min, float max, uint32_t bits, DType compute);

inline QuantizationRange AsymmetricInt8Range(float min, float max, DType compute,
                                             DType stored = DType::kF32) {
  return AsymmetricRange(min, max, 8, compute, stored);
}
inline QuantizationRange SymmetricInt8Range(float min, float max, DType compute) {
  return SymmetricRange(min, max, 8, compute);
}

// One row or group by its range: codes and what they mean. An all-zero row has scale 2⁻²³ and
// codes 0.
QuantizationRange QuantizeByRange(std::span<const float> values, uint32_t bits, bool symmetric,
                                  DType compute, std::span<int8_t> codes);

}  // namespace slim
