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

QuantizationRange AsymmetricRange(float min, float max, uint32_t bits, DType compute,
                                  DType stored) {
  const auto steps = static_cast<float>((1U << bits) - 1);
  const float low = std::min(Rounded(min, compute), 0.0F);
  const float high = std::max(Rounded(max, compute), 0.0F);
  QuantizationRange range;
  range.scale = Rounded(Rounded(high / steps, compute) - Rounded(low / steps, compute), compute);
  range.scale = Rounded(std::max(range.scale, kSmallestScale), stored);
  const float below = std::nearbyint(Rounded(-low / range.scale, compute));
  range.offset = Rounded(Rounded(below, compute) + static_cast<float>(LowestCode(bits)), compute);
  return range;
}

QuantizationRange SymmetricRange(float min, float max, uint32_t bits, DType compute) {
  const float amax =
      std::max(-std::min(Rounded(min, compute), 0.0F), std::max(Rounded(max, compute), 0.0F));
  const float scale = Rounded(amax / static_cast<float>(HighestCode(bits)), compute);
  return {std::max(scale, kSmallestScale), 0.0F};
}

QuantizationRange QuantizeByRange(std::span<const float> values, uint32_t bits, bool symmetric,
                                  DType compute, std::span<int8_t> codes) {
  const MinMax found = values.empty() ? MinMax{0, 0} : FindMinMax(values.data(), values.size());
  const QuantizationRange range = symmetric ? SymmetricRange(found.min, found.max, bits, compute)
                                            : AsymmetricRange(found.min, found.max, bits, compute);
  QuantizeRow(values.data(), values.size(), range.scale, range.offset, compute, LowestCode(bits),
              HighestCode(bits), codes.data());
  return range;
}

}  // namespace slim
