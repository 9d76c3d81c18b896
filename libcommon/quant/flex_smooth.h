// Smoothing whose strength is searched by trying: flex_smooth_quant and flex_awq_ssz of msModelSlim
// (facts: algorithms.md 3.4, 3.5). Every candidate quantizes the kept tokens and the weights and is
// judged by the error of the product. With --compute model every strength of the grid is tried, in
// msModelSlim's order; with fp32 coarse steps first, then finer ones around the best.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "quant/smooth.h"

namespace slim {

// Tokens that a search keeps of one input with --compute fp32; with --compute model all, as
// msModelSlim does.
inline constexpr uint64_t kSearchTokens = 256;

// The scales [k] of one pair, rounded to `compute`. `stats` holds tokens. Without any the method
// cannot search: an internal error.
Result<std::vector<float>> SearchScales(const SmoothStep& step, const SmoothPairing& pairing,
                                        std::span<const float> activation_absmax,
                                        std::span<const float> weight_absmax,
                                        const InputStats& stats, DType compute,
                                        const SmoothContext& context);

}  // namespace slim
