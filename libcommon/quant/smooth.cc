#include "quant/smooth.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/convert.h"
#include "kernels/math.h"
#include "quant/flex_smooth.h"

namespace slim {
namespace {

constexpr float kSmallestWeight = 1e-5F;

std::vector<float> Inverse(std::span<const float> scales, DType dtype) {
  std::vector<float> inverse(scales.size());
  for (size_t i = 0; i < scales.size(); ++i) inverse[i] = Rounded(1.0F / scales[i], dtype);
  return inverse;
}

float NearestPowerOfTwo(float value) {
  constexpr float kRootOfHalf = 0.70710678F;
  int exponent = 0;
  const float fraction = std::frexp(value, &exponent);  // in [0.5, 1)
  return std::ldexp(1.0F, fraction < kRootOfHalf ? exponent - 1 : exponent);
}

// The scale of each channel of attention's output becomes one a channel of v_proj: the mean, or the
// largest, over the query heads that share a key-value head; repeated for every one of them.
struct HeadScales {
  std::vector<float> source;  // [num_kv_heads, head_dim]
  std::vector<float> target;  // [num_heads, head_dim]
};

HeadScales GroupHeads(const SmoothPairing& pairing, std::span<const float> scales, DType dtype) {
  const uint64_t group = pairing.num_heads / pairing.num_kv_heads;
  HeadScales heads;
  heads.source.resize(pairing.num_kv_heads * pairing.head_dim);
  heads.target.resize(scales.size());
  for (uint64_t kv = 0; kv < pairing.num_kv_heads; ++kv) {
    for (uint64_t d = 0; d < pairing.head_dim; ++d) {
      float sum = 0;
      for (uint64_t i = 0; i < group; ++i) sum += scales[(kv * group + i) * pairing.head_dim + d];
      const float mean = Rounded(sum / static_cast<float>(group), dtype);
      heads.source[kv * pairing.head_dim + d] = mean;
      for (uint64_t i = 0; i < group; ++i)
        heads.target[(kv * group + i) * pairing.head_dim + d] = mean;
    }
  }
  return heads;
}

// The factor of every row of the source: 1 for the rows of a head that are no values.
std::vector<float> SourceRows(const SmoothPairing& pairing, std::span<const float> values) {
  if (pairing.kind != SmoothPair::kOv) return {values.begin(), values.end()};
  std::vector<float> rows(pairing.num_kv_heads * pairing.source_head_rows, 1.0F);
  const uint64_t first = pairing.source_head_rows - pairing.head_dim;
  for (uint64_t i = 0; i < values.size(); ++i)
    rows[i / pairing.head_dim * pairing.source_head_rows + first + i % pairing.head_dim] =
        values[i];
  return rows;
}

void ScaleCacheRange(std::span<const float> factor, ChannelRange& range) {
  if (range.min.size() != factor.size()) return;
  for (size_t i = 0; i < factor.size(); ++i) {
    range.min[i] *= factor[i];
    range.max[i] *= factor[i];
  }
}

void FoldNormPair(const SmoothStep& step, const SmoothPairing& pairing,
                  std::span<const float> scales, std::span<const float> shift,
                  const SmoothContext& context) {
  WorkingBlock& block = context.block;
  const Norm& norm = block.NormOf(pairing.source);
  const DType dtype = block.StoredDType(pairing.source + ".weight");
  const FoldedNorm folded = FoldNorm(norm.weight, scales, dtype, context.compute);
  std::vector<float> bias = norm.bias;
  // msModelSlim's smooth_quant always replaces the norm by one with a bias.
  const bool biased = !shift.empty() || (step.method == SmoothMethod::kSmoothQuant &&
                                         context.compute == ComputeMode::kModel);
  if (bias.empty() && biased) bias.assign(scales.size(), 0.0F);
  for (size_t i = 0; i < bias.size(); ++i) {
    bias[i] = Rounded(bias[i] * folded.activation_scale[i], dtype);
    if (shift.empty()) continue;
    const float moved = Rounded(shift[i] * folded.activation_scale[i], dtype);
    bias[i] = Rounded(bias[i] - moved, dtype);
  }
  for (const std::string& target : pairing.targets) {
    if (!shift.empty()) block.AddShiftToBias(target, shift);
    block.ScaleColumns(target, folded.column_scale);
  }
  for (const std::string& target : pairing.targets) {
    if (context.stats.LeaderOf(target) != target) continue;
    if (InputStats* stats = context.stats.Find(target))
      stats->Transform(shift, folded.activation_scale);
  }
  block.SetNorm(pairing.source, folded.weight, std::move(bias));
}

// up-down, linear-linear and ov.
void FoldLinearPair(const SmoothPairing& pairing, std::span<const float> scales,
                    const SmoothContext& context) {
  WorkingBlock& block = context.block;
  const DType dtype = block.Working(block.StoredDType(pairing.source + ".weight"));
  HeadScales heads;
  if (pairing.kind == SmoothPair::kOv) {
    heads = GroupHeads(pairing, scales, dtype);
  } else {
    heads.source.assign(scales.begin(), scales.end());
    heads.target = heads.source;
  }
  const std::vector<float> rows = Inverse(heads.source, dtype);
  block.ScaleRows(pairing.source, SourceRows(pairing, rows));
  for (const std::string& target : pairing.targets) {
    block.ScaleColumns(target, heads.target);
    if (context.stats.LeaderOf(target) != target) continue;
    if (InputStats* stats = context.stats.Find(target))
      stats->Transform({}, Inverse(heads.target, dtype));
  }
  if (pairing.kind != SmoothPair::kOv) return;
  ScaleCacheRange(rows, context.stats.values);
  ScaleCacheRange(rows, context.stats.last_values);
}

std::vector<float> WeightMaxima(const SmoothStep& step, const SmoothPairing& pairing, size_t k,
                                const SmoothContext& context) {
  // Compute model: between linears msModelSlim's iter_smooth takes the largest weight, not the
  // largest magnitude (facts: algorithms.md 3.3).
  const bool with_sign = context.compute == ComputeMode::kModel &&
                         pairing.kind != SmoothPair::kNormLinear &&
                         step.method == SmoothMethod::kIter;
  std::vector<float> largest(k, with_sign ? -std::numeric_limits<float>::infinity() : 0.0F);
  for (const std::string& target : pairing.targets)
    context.block.WidenColumnMax(target, with_sign, largest);
  return largest;
}

}  // namespace

std::vector<float> IterSmoothScales(std::span<const float> activation_absmax,
                                    std::span<const float> weight_absmax, double alpha,
                                    DType compute, double scale_min) {
  std::vector<float> scales(activation_absmax.size());
  for (size_t i = 0; i < scales.size(); ++i) {
    const float weight = Rounded(std::max(weight_absmax[i], kSmallestWeight), compute);
    const auto a = static_cast<float>(PowD(static_cast<double>(activation_absmax[i]), alpha));
    const auto w = static_cast<float>(PowD(static_cast<double>(weight), 1.0 - alpha));
    scales[i] = Rounded(std::max(a / w, static_cast<float>(scale_min)), compute);
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

ShiftedRange ShiftOf(std::span<const ChannelRange> samples, DType compute) {
  ShiftedRange result;
  ChannelRange seen;
  for (const ChannelRange& sample : samples) {
    if (sample.min.empty()) continue;
    seen.Merge(sample);
    const size_t k = seen.min.size();
    result.shift.resize(k);
    result.absmax.resize(k);
    for (size_t i = 0; i < k; ++i) {
      const float shift = Rounded(Rounded(seen.max[i] + seen.min[i], compute) / 2.0F, compute);
      const float above = std::fabs(Rounded(sample.max[i] - shift, compute));
      const float below = std::fabs(Rounded(sample.min[i] - shift, compute));
      result.shift[i] = shift;
      result.absmax[i] = std::max(result.absmax[i], std::max(above, below));
    }
  }
  return result;
}

Result<bool> SmoothPairOf(const SmoothStep& step, const SmoothPairing& pairing,
                          const SmoothContext& context) {
  InputStats* stats = context.stats.Find(pairing.targets.front());
  if (stats == nullptr) return false;
  WorkingBlock& block = context.block;
  const DType compute = block.Working(block.StoredDType(pairing.targets.front() + ".weight"));
  const bool shifted = !step.symmetric && pairing.kind == SmoothPair::kNormLinear;
  std::vector<float> absmax = stats->range.AbsMax();
  std::vector<float> shift;
  if (shifted) {
    ShiftedRange range = ShiftOf(stats->samples, compute);
    absmax = std::move(range.absmax);
    shift = std::move(range.shift);
  }
  std::vector<float> scales;
  if (step.method == SmoothMethod::kIter || step.method == SmoothMethod::kSmoothQuant) {
    scales =
        IterSmoothScales(absmax, WeightMaxima(step, pairing, absmax.size(), context),
                         step.alpha.value_or(DefaultAlpha(step.method)), compute, step.scale_min);
  } else {
    SLIM_ASSIGN(scales, SearchScales(step, pairing, absmax,
                                     WeightMaxima(step, pairing, absmax.size(), context), *stats,
                                     compute, context));
  }
  if (context.compute == ComputeMode::kFp32) {
    // A channel that is never used has no range to move.
    for (size_t i = 0; i < scales.size(); ++i) {
      if (absmax[i] == 0 || !std::isfinite(scales[i])) scales[i] = 1.0F;
      if (context.exact_source && pairing.kind != SmoothPair::kNormLinear)
        scales[i] = NearestPowerOfTwo(scales[i]);
    }
  }
  if (pairing.kind == SmoothPair::kNormLinear) {
    FoldNormPair(step, pairing, scales, shift, context);
  } else {
    FoldLinearPair(pairing, scales, context);
  }
  return true;
}

void SmoothKeys(const KvSmoothStep& step, const std::string& attention, const ModelConfig& config,
                WorkingBlock& block, BlockStats& stats) {
  const std::vector<float> absmax = stats.keys.AbsMax();
  const uint64_t dim = config.head_dim;
  const uint64_t half = dim / 2;
  const uint64_t group = config.num_heads / config.num_kv_heads;
  // Rotary positions mix channels d and d + head_dim / 2: both take the scale of the wider.
  std::vector<float> factor(absmax.size());
  for (uint64_t head = 0; head < config.num_kv_heads; ++head) {
    for (uint64_t d = 0; d < half; ++d) {
      const uint64_t first = head * dim + d;
      const float widest = std::max(absmax[first], absmax[first + half]);
      const auto scale = static_cast<float>(PowD(static_cast<double>(widest), step.factor));
      factor[first] = widest > 0 ? scale : 1.0F;
      factor[first + half] = factor[first];
    }
  }
  if (config.qk_norm) {
    // One norm serves every head.
    std::vector<float> shared(dim);
    for (uint64_t d = 0; d < dim; ++d) {
      for (uint64_t head = 0; head < config.num_kv_heads; ++head)
        shared[d] = std::max(shared[d], factor[head * dim + d]);
    }
    for (uint64_t i = 0; i < factor.size(); ++i) factor[i] = shared[i % dim];
    const auto scale_norm = [&](const std::string& name, bool divide) {
      std::vector<float> weight = block.NormOf(name).weight;
      const DType dtype = block.StoredDType(name + ".weight");
      for (uint64_t d = 0; d < dim; ++d)
        weight[d] = Rounded(divide ? weight[d] / shared[d] : weight[d] * shared[d], dtype);
      block.SetNorm(name, std::move(weight), {});
    };
    scale_norm(attention + ".k_norm", true);
    scale_norm(attention + ".q_norm", false);
  } else {
    std::vector<float> query(config.num_heads * dim);
    for (uint64_t i = 0; i < query.size(); ++i)
      query[i] = factor[i / (group * dim) * dim + i % dim];
    block.ScaleRows(attention + ".k_proj", Inverse(factor, DType::kF32));
    block.ScaleRows(attention + ".q_proj", query);
  }
  const std::vector<float> inverse = Inverse(factor, DType::kF32);
  ScaleCacheRange(inverse, stats.keys);
  ScaleCacheRange(inverse, stats.last_keys);
}

}  // namespace slim
