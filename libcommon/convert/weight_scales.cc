#include "convert/weight_scales.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/convert.h"

namespace slim {

std::vector<float> ImpliedWeightScales(const LinearRecord& record, DType model_dtype) {
  if (record.Has(Role::kWeightScale)) return PartAsFloats(record, Role::kWeightScale);
  std::vector<float> scales = PartAsFloats(record, Role::kDeqScale);
  const float input = PartAsFloats(record, Role::kInputScale)[0];
  for (float& scale : scales) {
    const float wanted = scale;
    const float quotient = wanted / input;
    scale = quotient;
    for (const float candidate :
         {quotient, std::nextafter(quotient, 0.0F), std::nextafter(quotient, INFINITY)}) {
      if (Rounded(candidate * input, model_dtype) != wanted) continue;
      scale = candidate;
      break;
    }
  }
  return scales;
}

DType NarrowestExact(std::span<const float> values, DType dtype) {
  std::vector<float> rounded(values.begin(), values.end());
  RoundToDType(dtype, rounded.data(), rounded.size());
  return std::ranges::equal(rounded, values) ? dtype : DType::kF32;
}

Status RefuseWeightOffsets(const LinearRecord& record, std::string_view format) {
  if (!record.Has(Role::kWeightOffset)) return {};
  for (const float offset : PartAsFloats(record, Role::kWeightOffset)) {
    if (offset == 0) continue;
    return InputError("CV-weight-offset",
                      fmt::format("has weight offset {}, and weights of {} are symmetric in every "
                                  "NPU loader",
                                  offset, format),
                      "--dequantize writes the float checkpoint");
  }
  return {};
}

}  // namespace slim
