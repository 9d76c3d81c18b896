#include "linear/w8a8.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/convert.h"
#include "kernels/reduce.h"

namespace slim {
namespace {

int32_t RoundToInt32(double value, uint64_t* saturated) {
  const double rounded = std::nearbyint(value);
  constexpr double kLow = std::numeric_limits<int32_t>::min();
  constexpr double kHigh = std::numeric_limits<int32_t>::max();
  if (!(rounded >= kLow && rounded <= kHigh)) {
    if (saturated != nullptr) ++*saturated;
    if (std::isnan(rounded)) return 0;
  }
  return static_cast<int32_t>(std::clamp(rounded, kLow, kHigh));
}

}  // namespace

StaticFold FoldStaticW8A8(std::span<const int8_t> codes, uint64_t n, uint64_t k,
                          std::span<const float> weight_scale, const QuantizationRange& input,
                          std::span<const float> bias, DType compute, FoldRounding rounding,
                          uint64_t* saturated) {
  StaticFold fold;
  fold.deq_scale.resize(n);
  fold.quant_bias.resize(n);
  for (uint64_t i = 0; i < n; ++i) {
    const float deq = Rounded(input.scale * weight_scale[i], compute);
    fold.deq_scale[i] = deq;
    const auto code_sum = static_cast<double>(SumInt8(codes.data() + i * k, k));
    if (rounding == FoldRounding::kOnce) {
      const double quotient =
          bias.empty() ? 0.0 : static_cast<double>(bias[i]) / static_cast<double>(deq);
      fold.quant_bias[i] =
          RoundToInt32(quotient - code_sum * static_cast<double>(input.offset), saturated);
      continue;
    }
    const float correction = static_cast<float>(code_sum) * input.offset;
    const float quotient = bias.empty() ? 0.0F : Rounded(bias[i] / deq, compute);
    fold.quant_bias[i] = RoundToInt32(quotient - correction, saturated);
  }
  return fold;
}

}  // namespace slim
