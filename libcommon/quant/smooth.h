// Smoothing of a norm and the linears behind it: one scale a channel moves range from activations
// to weights without changing the function. iter_smooth: facts algorithms.md 3.2, 3.3.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dtype/dtype.h"
#include "quant/recipe.h"

namespace slim {

// s[k] = max(a^alpha / max(w, 1e-5)^(1 − alpha), 1e-5), rounded to `compute`. `activation_absmax`
// is the largest |x| of the channel over all tokens, `weight_absmax` the largest |W[:, k]| over all
// linears that read it.
std::vector<float> IterSmoothScales(std::span<const float> activation_absmax,
                                    std::span<const float> weight_absmax, double alpha,
                                    DType compute);

// The folded norm weight as it will be stored (in `dtype`), and the scale of each channel that the
// linears must take on. kModel: norm · R(1/s) rounded, and s. kFp32: the linears take what the
// stored norm really gave up (weight / stored weight), so that rounding the norm costs nothing.
struct FoldedNorm {
  std::vector<float> weight;            // values representable in `dtype`
  std::vector<float> column_scale;      // multiplies the columns of the linears
  std::vector<float> activation_scale;  // multiplies the channels of what the norm put out
};
FoldedNorm FoldNorm(std::span<const float> weight, std::span<const float> scales, DType dtype,
                    ComputeMode compute);

}  // namespace slim
