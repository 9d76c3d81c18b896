// Int32 sums of an integer product to float32, a block of rows at a time. Rounded after every
// operation in the order written, so the same bits on any instruction set.
#pragma once

#include <cstdint>

namespace slim {

// Sums [rows, columns] and their outputs, each with the distance of its rows.
struct ScaledBlock {
  const int32_t* sums;
  uint64_t stride;
  uint64_t rows;
  uint64_t columns;
  float* y;
  uint64_t y_stride;
};

// What a product with a scale for every token multiplies and adds, [columns] each; null pointers:
// nothing to add.
struct DynamicScales {
  const float* scale;
  const float* correction;
  const float* bias;
};

// y[i, j] = (float(sums[i, j]) * scale[j] + correction[j]) * token_scales[i] + bias[j].
void ScaleDynamicSums(const ScaledBlock& block, const DynamicScales& scales,
                      const float* token_scales);

// y[i, j] = float(sums[i, j] + quant_bias[j]) * deq_scale[j]; the sum is exact, also outside int32.
void ScaleStaticSums(const ScaledBlock& block, const int32_t* quant_bias, const float* deq_scale);

}  // namespace slim
