// What a scale costs one row of weights, measured without writing its codes: the inner loop of
// searches for scales. Which scales are tried is quant's business.
#pragma once

#include <cstdint>

namespace slim {

// With c = clamp(rne(v · (1 / scale) + offset), low, high) − offset and e = v − c · scale, all in
// float32; w is 1 where there are no weights. Sums of 16 float lanes, the same on every machine.
struct CodeError {
  float error = 0;    // Σ w e²
  float product = 0;  // Σ w c e
  float square = 0;   // Σ w c²
};

// values, and weights unless null, [count], finite; scale > 0; -128 <= low <= offset <= high <=
// 127. The scale that fits these codes best is scale + product / square.
CodeError MeasureCodes(const float* values, const float* weights, uint64_t count, float scale,
                       float offset, int low, int high);

}  // namespace slim
