// Smoothing: one scale a channel moves range from activations into weights without changing the
// function. The formulas of iter_smooth, smooth_quant and our own search, and the folds of the four
// kinds of pairs (facts: algorithms.md 3.1 to 3.3). What the scales of flex_smooth_quant and
// flex_awq_ssz are: quant/flex_smooth.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/listener.h"
#include "dtype/dtype.h"
#include "model/smooth_pairs.h"
#include "quant/input_stats.h"
#include "quant/recipe.h"
#include "quant/working_block.h"

namespace slim {

// s[k] = max(a^alpha / max(w, 1e-5)^(1 − alpha), scale_min), rounded to `compute`.
// `activation_absmax` is the largest |x| of the channel over all tokens, `weight_absmax` the
// largest |W[:, k]| over all linears that read it.
std::vector<float> IterSmoothScales(std::span<const float> activation_absmax,
                                    std::span<const float> weight_absmax, double alpha,
                                    DType compute, double scale_min = 1e-5);

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

// With asymmetric smoothing, of one input: the shift of each channel, and the largest distance from
// the shift at that time over all samples (stale shifts stay, as msModelSlim's do).
struct ShiftedRange {
  std::vector<float> shift;   // (max + min) / 2
  std::vector<float> absmax;  // of x − shift
};
ShiftedRange ShiftOf(std::span<const ChannelRange> samples, DType compute);

// What smoothing one pair needs to know besides the step.
struct SmoothContext {
  WorkingBlock& block;
  BlockStats& stats;
  ComputeMode compute = ComputeMode::kFp32;
  uint32_t weight_bits = 8;  // of the linears behind the pair, which a search judges by
  // The source linear stays float in a 16-bit dtype, where only powers of two scale without loss.
  bool exact_source = false;
  ThreadPool& pool;
};

// Chooses the scales of `pairing`, folds them into the block and into the statistics. A pair whose
// target no token reached is left alone: false.
Result<bool> SmoothPairOf(const SmoothStep& step, const SmoothPairing& pairing,
                          const SmoothContext& context);

// Keys scaled per rotary pair so that their channels have like ranges (facts: 3.7): k_proj and
// q_proj of the block, or their norms where there are any. `attention` is the module's name.
void SmoothKeys(const KvSmoothStep& step, const std::string& attention, const ModelConfig& config,
                WorkingBlock& block, BlockStats& stats);

}  // namespace slim
