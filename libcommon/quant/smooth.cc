#include "quant/smooth.h"

#include <algorithm>
#include <cmath>

#include "kernels/convert.h"
#include "kernels/math.h"

namespace slim {
namespace {

constexpr float kSmallestScale = 1e-5F;

}  // namespace

std::vector<float> IterSmoothScales(std::span<const float> activation_absmax,
                                    std::span<const float> weight_absmax, double alpha,
                                    DType compute) {
  std::vector<float> scales(activation_absmax.size());
  for (size_t i = 0; i < scales.size(); ++i) {
    const float weight = Rounded(std::max(weight_absmax[i], kSmallestScale), compute);
    const auto a = static_cast<float>(PowD(static_cast<double>(activation_absmax[i]), alpha));
    const auto w = static_cast<float>(PowD(static_cast<double>(weight), 1.0 - alpha));
    scales[i] = Rounded(std::max(a / w, kSmallestScale), compute);
  }
  return scales;
}

FoldedNorm FoldNorm(std::span<const float> weight, std::span<const float> scales, DType dtype,
                    ComputeMode compute) {
  FoldedNorm folded;
  folded.weight.resize(weight.size());
  folded.column_scale.resize(weight.size());
  folded.activation_scale.resize(weight.size());
  for (size_t i = 0; i < weight.size(); ++i) {
    if (compute == ComputeMode::kModel) {
      const float inverse = Rounded(1.0F / scales[i], dtype);
      folded.weight[i] = Rounded(weight[i] * inverse, dtype);
      folded.column_scale[i] = scales[i];
      folded.activation_scale[i] = inverse;
      continue;
    }
    const float stored = Rounded(weight[i] / scales[i], dtype);
    const float taken = weight[i] / stored;
    // A channel that the norm switches off, or whose folded weight leaves the dtype, keeps its
    // place.
    const bool usable = std::isfinite(stored) && std::isfinite(taken) && taken > 0;
    folded.weight[i] = usable ? stored : weight[i];
    folded.column_scale[i] = usable ? taken : 1.0F;
    folded.activation_scale[i] = usable ? stored / weight[i] : 1.0F;
  }
  return folded;
}

}  // namespace slim
