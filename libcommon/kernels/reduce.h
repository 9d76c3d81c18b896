// Ranges and sums of arrays. Exact operations only, so order cannot change a result; a zero minimum
// or maximum has no defined sign.
#pragma once

#include <cstdint>

namespace slim {

struct MinMax {
  float min;
  float max;
};

// count > 0, no NaN (see AllFinite).
MinMax FindMinMax(const float* values, uint64_t count);
// max |x|; 0 for an empty array. No NaN.
float AbsMax(const float* values, uint64_t count);
bool AllFinite(const float* values, uint64_t count);
// rows is [row_count, columns]; min, max and absmax are [columns] and are widened by what the rows
// hold. No NaN.
void UpdateColumnMinMax(const float* rows, uint64_t row_count, uint64_t columns, float* min,
                        float* max);
void UpdateColumnAbsMax(const float* rows, uint64_t row_count, uint64_t columns, float* absmax);
// Exact for count <= 2^23.
int32_t SumInt8(const int8_t* codes, uint64_t count);

}  // namespace slim
