#include "linear/int8.h"

#include <algorithm>
#include <cmath>

#include "kernels/convert.h"
#include "kernels/quantize.h"
#include "kernels/reduce.h"

namespace slim {
namespace {

constexpr float kSmallestScale = 0x1p-23F;

}  // namespace

QuantizationRange AsymmetricInt8Range(float min, float max, DType compute, DType stored) {
  const float low = std::min(Rounded(min, compute), 0.0F);
  const float high = std::max(Rounded(max, compute), 0.0F);
  QuantizationRange range;
  range.scale = Rounded(Rounded(high / 255.0F, compute) - Rounded(low / 255.0F, compute), compute);
  range.scale = Rounded(std::max(range.scale, kSmallestScale), stored);
  const float steps = std::nearbyint(Rounded(-low / range.scale, compute));
  range.offset = Rounded(Rounded(steps, compute) - 128.0F, compute);
  return range;
}

QuantizationRange SymmetricInt8Range(float min, float max, DType compute) {
  const float amax =
      std::max(-std::min(Rounded(min, compute), 0.0F), std::max(Rounded(max, compute), 0.0F));
  return {std::max(Rounded(amax / 127.0F, compute), kSmallestScale), 0.0F};
}

float QuantizeChannelInt8(std::span<const float> row, DType compute, std::span<int8_t> codes) {
  const float amax = row.empty() ? 0.0F : AbsMax(row.data(), row.size());
  const float scale = SymmetricInt8Range(-amax, amax, compute).scale;
  QuantizeRow(row.data(), row.size(), scale, 0.0F, compute, -128, 127, codes.data());
  return scale;
}

}  // namespace slim
