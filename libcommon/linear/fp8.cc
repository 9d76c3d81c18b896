#include "linear/fp8.h"

#include <algorithm>

#include "dtype/scalar_convert.h"
#include "kernels/convert.h"
#include "kernels/reduce.h"

namespace slim {

float QuantizeRowFp8(std::span<const float> values, DType compute, std::span<uint8_t> bytes) {
  constexpr float kSmallestMaximum = 1e-12F;
  const float amax = std::max(AbsMax(values.data(), values.size()), kSmallestMaximum);
  const float scale = Rounded(Rounded(amax, compute) / kFp8Max, compute);
  if (scale == 0) {
    // 1e-12 / 448 is below the smallest F16.
    std::fill(bytes.begin(), bytes.end(), uint8_t{0});
    return scale;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const float quotient = Rounded(values[i] / scale, compute);
    bytes[i] = FloatToF8E4M3(std::clamp(quotient, -kFp8Max, kFp8Max));
  }
  return scale;
}

void DequantizeRowFp8(std::span<const uint8_t> bytes, float scale, std::span<float> values) {
  for (size_t i = 0; i < bytes.size(); ++i) values[i] = F8E4M3ToFloat(bytes[i]) * scale;
}

}  // namespace slim
