// Float values to integer codes and back, for one row with one scale. Where the scale comes from is
// linear's and quant's business. Rounding is to nearest, ties to even; a NaN becomes code 0 and
// nothing is undefined.
#pragma once

#include <cstdint>

#include "dtype/dtype.h"

namespace slim {

// codes[i] = clamp(rne(R(R(values[i] / scale) + offset)), low, high), where R rounds to `compute`
// (F32, BF16 or F16; facts: algorithms.md 2.2). -128 <= low <= high <= 127.
void QuantizeRow(const float* values, uint64_t count, float scale, float offset, DType compute,
                 int low, int high, int8_t* codes);

// values[i] = (codes[i] - offset) * scale in float32.
void DequantizeRow(const int8_t* codes, uint64_t count, float scale, float offset, float* values);

// One token of per_token quantization: returns scale = max|x| / 127 and writes clamp(rne(x /
// scale), -128, 127); a zero row returns 0 and codes 0 (facts: consumers.md 7.1).
float QuantizeToken(const float* values, uint64_t count, int8_t* codes);

// Static activations as consumers do it: clamp(rne(x / scale) + offset, -128, 127), `offset`
// integral.
void QuantizeStatic(const float* values, uint64_t count, float scale, float offset, int8_t* codes);

}  // namespace slim
