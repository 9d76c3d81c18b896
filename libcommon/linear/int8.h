// Int8 arithmetic shared by the schemes: ranges to scales and offsets, per-channel weight codes.
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
  float offset = 0;  // integral, in [-128, 127]
};

// min <= 0 <= max is enforced. scale = max(R(R(max/255) − R(min/255)), 2⁻²³), offset =
// R(rne(R(−min/scale))) − 128. `stored` is the dtype the scale will be kept in: it is rounded to it
// before the offset is derived (source document S001).
QuantizationRange AsymmetricInt8Range(float min, float max, DType compute,
                                      DType stored = DType::kF32);
// scale = max(R(amax/127), 2⁻²³), offset 0.
QuantizationRange SymmetricInt8Range(float min, float max, DType compute);

// One output channel: codes of `row` and its symmetric scale. An all-zero row has scale 2⁻²³ and
// codes 0.
float QuantizeChannelInt8(std::span<const float> row, DType compute, std::span<int8_t> codes);

}  // namespace slim
