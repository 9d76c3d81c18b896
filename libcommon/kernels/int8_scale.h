// Int32 sums of an integer product to float32, one row at a time. Rounded after every operation in
// the order written, so the same bits on any instruction set.
#pragma once

#include <cstdint>

namespace slim {

// What a product with a scale for every token multiplies and adds, [n] each; null pointers: nothing
// to add.
struct DynamicScales {
  const float* scale;
  const float* correction;
  const float* bias;
};

// y[j] = (float(sums[j]) * scale[j] + correction[j]) * token_scale + bias[j].
void ScaleDynamicSums(const int32_t* sums, uint64_t n, const DynamicScales& scales,
                      float token_scale, float* y);

// y[j] = float(sums[j] + quant_bias[j]) * deq_scale[j]; the sum is exact, also outside int32.
void ScaleStaticSums(const int32_t* sums, uint64_t n, const int32_t* quant_bias,
                     const float* deq_scale, float* y);

}  // namespace slim
