// Static W8A8: the fold of activation range, weight scale, offset and bias into deq_scale and
// quant_bias. Facts: formats.md 6.4, algorithms.md 2.6.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dtype/dtype.h"
#include "linear/int8.h"
#include "linear/linear_record.h"
#include "linear/scheme.h"

namespace slim {

// One range of the activations for all tokens, known before the run: input_scale, deq_scale and
// quant_bias stand beside the weight.
inline constexpr bool HasStaticActivations(Scheme scheme) {
  return scheme == Scheme::kW8A8 || scheme == Scheme::kW8A8Mix || scheme == Scheme::kW8A8S;
}

struct StaticFold {
  std::vector<float> deq_scale;     // [n], R(input_scale · weight_scale)
  std::vector<int32_t> quant_bias;  // [n], rne(bias / deq_scale − offset · Σ_k codes)
};

// How quant_bias is rounded. kOnce: quotient and correction exact until one final rounding
// (--compute fp32). kAsWritten: the quotient is rounded to `compute`, the correction to float32 and
// the difference to float32, as msModelSlim's one-click writer does (--compute model).
enum class FoldRounding : uint8_t { kOnce, kAsWritten };

// `codes` is [n, k]; `weight_scale` [n]; `bias` [n] or empty. A quant_bias outside int32 is clamped
// and counted in `saturated` (may be null).
StaticFold FoldStaticW8A8(std::span<const int8_t> codes, uint64_t n, uint64_t k,
                          std::span<const float> weight_scale, const QuantizationRange& input,
                          std::span<const float> bias, DType compute, FoldRounding rounding,
                          uint64_t* saturated);

// Gives a W8A8 record with scales and a zero point (none: 0) the input_offset, deq_scale and
// quant_bias that it lacks; one that has them is left alone.
void CompleteStatic(LinearRecord& record, DType compute);
// quant_bias := rne(bias / deq_scale − input_offset · Σ codes) of the stored deq_scale. Returns how
// far the stored one was from the correction alone, at most.
int64_t RecomputeQuantBias(LinearRecord& record);

}  // namespace slim
