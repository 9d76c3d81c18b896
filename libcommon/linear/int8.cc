#include "linear/int8.h"

#include <algorithm>
#include <cmath>

#include "kernels/convert.h"
#include "kernels/quantize.h"
#include "kernels/reduce.h"

namespace slim {
namespace {

constexpr float kSmallestScale = 0x1p-23F;

float Round(float value, DType compute) {
  RoundToDType(compute, &value, 1);
  return value;
}

}  // namespace

QuantizationRange AsymmetricInt8Range(float min, float max, DType compute, DType stored) {
  const float low = std::min(Round(min, compute), 0.0F);
  const float high = std::max(Round(max, compute), 0.0F);
  QuantizationRange range;
  range.scale = Round(Round(high / 255.0F, compute) - Round(low / 255.0F, compute), compute);
  range.scale = Round(std::max(range.scale, kSmallestScale), stored);
  const float steps = std::nearbyint(Round(-low / range.scale, compute));
  range.offset = Round(Round(steps, compute) - 128.0F, compute);
  return range;
}

QuantizationRange SymmetricInt8Range(float min, float max, DType compute) {
  const float amax =
      std::max(-std::min(Round(min, compute), 0.0F), std::max(Round(max, compute), 0.0F));
  return {std::max(Round(amax / 127.0F, compute), kSmallestScale), 0.0F};
}

float QuantizeChannelInt8(std::span<const float> row, DType compute, std::span<int8_t> codes) {
  const float amax = row.empty() ? 0.0F : AbsMax(row.data(), row.size());
  const float scale = SymmetricInt8Range(-amax, amax, compute).scale;
  QuantizeRow(row.data(), row.size(), scale, 0.0F, compute, -128, 127, codes.data());
  return scale;
}

}  // namespace slim
