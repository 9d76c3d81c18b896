#include "quant/flex_smooth.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "kernels/convert.h"
#include "kernels/math.h"
#include "kernels/matmul.h"
#include "kernels/packed_matmul.h"
#include "kernels/quantize.h"
#include "kernels/reduce.h"
#include "linear/int8.h"
#include "quant/weight_rows.h"

namespace slim {
namespace {

constexpr int kSteps = 20;  // of 0.05, from 0 to 1
constexpr float kSmallest = 1e-5F;
constexpr uint64_t kTokensPerTile = 256;

float Power(float base, double exponent) {
  return static_cast<float>(PowD(static_cast<double>(base), exponent));
}

// One symmetric row: codes in [−largest, largest] and its scale; a zero row has scale 0.
float QuantizeSymmetric(std::span<const float> row, int largest, int8_t* codes) {
  const float scale = AbsMax(row.data(), row.size()) / static_cast<float>(largest);
  if (scale == 0 || !std::isfinite(scale)) {
    std::fill_n(codes, row.size(), int8_t{0});
    return scale == 0 ? 0.0F : std::numeric_limits<float>::quiet_NaN();
  }
  QuantizeRow(row.data(), row.size(), scale, 0, DType::kF32, -largest, largest, codes);
  return scale;
}

// The relative error of X Wᵀ that quantizing X / s and W · s causes. Of the weights nothing is held
// but the codes of one linear at a time.
class Trial {
 public:
  Trial(const SmoothPairing& pairing, const InputStats& stats, const SmoothContext& context)
      : stats_(stats), context_(context), k_(stats.range.min.size()) {
    for (const std::string& target : pairing.targets) {
      const TensorView weight = WeightOf(target);
      targets_.push_back({target, weight.shape[0]});
      Target& added = targets_.back();
      added.golden.resize(stats.token_count * added.n);
      MatMul(stats.tokens.data(), stats.token_count, weight, added.golden.data(), context.pool);
      for (const float value : added.golden)
        golden_square_ += static_cast<double>(value) * static_cast<double>(value);
    }
  }

  // NaN when a scale is zero or not finite.
  double Error(std::span<const float> scales) {
    for (const float scale : scales) {
      if (!(scale > 0) || !std::isfinite(scale)) return std::numeric_limits<double>::quiet_NaN();
    }
    QuantizeTokens(scales);
    errors_.assign(stats_.token_count, 0.0);
    for (const Target& target : targets_) {
      QuantizeWeight(target, scales);
      for (uint64_t begin = 0; begin < stats_.token_count; begin += kTokensPerTile)
        AddErrors(target, begin, std::min(kTokensPerTile, stats_.token_count - begin));
    }
    double sum = 0;
    for (const double error : errors_) sum += error;
    return golden_square_ > 0 ? std::sqrt(sum / golden_square_) : 0.0;
  }

 private:
  struct Target {
    std::string name;
    uint64_t n = 0;
    std::vector<float> golden = {};  // [tokens, n]
  };

  // Good until the next one is asked for.
  TensorView WeightOf(const std::string& target) const {
    return context_.block.Linear(target)[Role::kWeight].view();
  }

  void QuantizeTokens(std::span<const float> scales) {
    token_codes_.resize(stats_.token_count * k_);
    token_scale_.resize(stats_.token_count);
    context_.pool.ParallelFor(stats_.token_count, 4, [&](uint64_t begin, uint64_t end) {
      std::vector<float> row(k_);
      for (uint64_t i = begin; i < end; ++i) {
        const float* x = stats_.tokens.data() + i * k_;
        for (uint64_t j = 0; j < k_; ++j) row[j] = x[j] / scales[j];
        token_scale_[i] = QuantizeSymmetric(row, 127, token_codes_.data() + i * k_);
      }
    });
  }

  void QuantizeWeight(const Target& target, std::span<const float> scales) {
    const int largest = context_.weight_bits == 4 ? 7 : 127;
    const WeightRows rows{WeightOf(target.name), scales};
    weight_codes_.resize(target.n * k_);
    weight_scale_.resize(target.n);
    context_.pool.ParallelFor(target.n, 16, [&](uint64_t begin, uint64_t end) {
      std::vector<float> row(k_);
      for (uint64_t i = begin; i < end; ++i) {
        rows.Load(i, row);
        weight_scale_[i] = QuantizeSymmetric(row, largest, weight_codes_.data() + i * k_);
      }
    });
  }

  void AddErrors(const Target& target, uint64_t first, uint64_t count) {
    const uint64_t n = target.n;
    sums_.resize(count * n);
    MatMulInt8(token_codes_.data() + first * k_, count, weight_codes_.data(), n, k_, sums_.data(),
               context_.pool);
    context_.pool.ParallelFor(count, 4, [&](uint64_t begin, uint64_t end) {
      for (uint64_t i = begin; i < end; ++i) {
        double& sum = errors_[first + i];
        for (uint64_t j = 0; j < n; ++j) {
          const float value =
              static_cast<float>(sums_[i * n + j]) * token_scale_[first + i] * weight_scale_[j];
          const auto error = static_cast<double>(value - target.golden[(first + i) * n + j]);
          sum += error * error;
        }
      }
    });
  }

  const InputStats& stats_;
  const SmoothContext& context_;
  uint64_t k_ = 0;
  std::vector<Target> targets_;
  double golden_square_ = 0;
  std::vector<int8_t> token_codes_;  // [tokens, k]
  std::vector<float> token_scale_;
  std::vector<int8_t> weight_codes_;  // [n, k] of one target
  std::vector<float> weight_scale_;
  std::vector<int32_t> sums_;
  std::vector<double> errors_;  // of each token
};

// Attention's output: one scale serves all query heads that share a value head, so maxima are
// taken over them first.
std::vector<float> GroupMax(const SmoothPairing& pairing, std::span<const float> values) {
  std::vector<float> result(values.begin(), values.end());
  if (pairing.kind != SmoothPair::kOv) return result;
  const uint64_t dim = pairing.head_dim;
  const uint64_t group = pairing.num_heads / pairing.num_kv_heads;
  for (uint64_t i = 0; i < result.size(); ++i) {
    const uint64_t first = i / (group * dim) * group * dim + i % dim;
    for (uint64_t head = 0; head < group; ++head)
      result[i] = std::max(result[i], values[first + head * dim]);
  }
  return result;
}

struct Strength {
  double alpha = 0;
  double beta = 0;
};

std::vector<float> ScalesOf(std::span<const float> a, std::span<const float> w,
                            const Strength& strength) {
  std::vector<float> scales(a.size());
  for (size_t i = 0; i < a.size(); ++i)
    scales[i] = Power(a[i], strength.alpha) * Power(w[i], -strength.beta);
  return scales;
}

// flex_smooth_quant: first alpha with beta = 1 − alpha, then beta alone; ties go to the later. As
// there, beta stays 0 when no candidate of the second search is as good as the best of the first.
Strength SearchStrength(std::span<const float> a, std::span<const float> w, Trial& trial,
                        bool second_search) {
  Strength best;
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i <= kSteps; ++i) {
    const double alpha = static_cast<double>(i) / kSteps;
    const double error = trial.Error(ScalesOf(a, w, {alpha, second_search ? 1.0 - alpha : 0.0}));
    if (!(error <= least)) continue;
    least = error;
    best.alpha = alpha;
  }
  if (!second_search) return best;
  for (int i = 0; i <= kSteps; ++i) {
    const double beta = static_cast<double>(i) / kSteps;
    const double error = trial.Error(ScalesOf(a, w, {best.alpha, beta}));
    if (!(error <= least)) continue;
    least = error;
    best.beta = beta;
  }
  return best;
}

// The step of the grid with the smallest error, from every fourth to its neighbours; `start` and
// `error` are one that is known already.
template <class ErrorOf>
void Refine(const ErrorOf& error_of, int& start, double& error) {
  int best = start;
  std::set<int> tried = {start};
  const auto attempt = [&](int step) {
    if (step < 0 || step > kSteps || !tried.insert(step).second) return;
    const double found = error_of(static_cast<double>(step) / kSteps);
    if (!(found < error)) return;
    error = found;
    best = step;
  };
  for (int step = 0; step <= kSteps; step += 4) attempt(step);
  for (const int distance : {2, 1}) {
    const int centre = best;
    attempt(centre - distance);
    attempt(centre + distance);
  }
  start = best;
}

// The same choice in a third of the tries: alpha with beta = 1 − alpha, then beta alone.
Strength RefineStrength(std::span<const float> a, std::span<const float> w, Trial& trial,
                        bool second_search) {
  int alpha = kSteps / 2;
  const auto beta_of = [&](double value) { return second_search ? 1.0 - value : 0.0; };
  const auto error_of = [&](double value) {
    return trial.Error(ScalesOf(a, w, {value, beta_of(value)}));
  };
  double error = error_of(0.5);
  Refine(error_of, alpha, error);
  const double chosen = static_cast<double>(alpha) / kSteps;
  if (!second_search) return {chosen, 0.0};
  int beta = kSteps - alpha;
  Refine([&](double value) { return trial.Error(ScalesOf(a, w, {chosen, value})); }, beta, error);
  return {chosen, static_cast<double>(beta) / kSteps};
}

// Channels that are never used take part with 1.
void FillDead(std::vector<float>& values) {
  for (float& value : values) {
    if (value == 0) value = 1.0F;
  }
}

}  // namespace

Result<std::vector<float>> SearchScales(const SmoothStep& step, const SmoothPairing& pairing,
                                        std::span<const float> activation_absmax,
                                        std::span<const float> weight_absmax,
                                        const InputStats& stats, DType compute,
                                        const SmoothContext& context) {
  if (stats.token_count == 0)
    return InternalError(fmt::format("no tokens kept for {}", pairing.targets.front()));
  std::vector<float> a = GroupMax(pairing, activation_absmax);
  std::vector<float> w = GroupMax(pairing, weight_absmax);
  if (context.compute == ComputeMode::kFp32) {
    FillDead(a);
    FillDead(w);
  }
  SmoothContext judged = context;
  const bool as_model = context.compute == ComputeMode::kModel;
  if (as_model) judged.weight_bits = 8;
  const bool means = step.method == SmoothMethod::kFlexAwqSsz || step.method == SmoothMethod::kAwq;
  if (means) judged.weight_bits = step.target ? SchemeWeightBits(step.target->scheme) : 4;
  Strength strength;
  if (step.alpha && (step.beta || means)) {
    strength = {*step.alpha, step.beta.value_or(0.0)};
  } else {
    Trial trial(pairing, stats, judged);
    strength = as_model ? SearchStrength(a, w, trial, !means) : RefineStrength(a, w, trial, !means);
  }
  if (means) {
    // The mean magnitude of each channel, not the largest, makes the scales.
    const uint64_t k = a.size();
    for (uint64_t i = 0; i < k; ++i) {
      double sum = 0;
      for (uint64_t token = 0; token < stats.token_count; ++token)
        sum += std::fabs(static_cast<double>(stats.tokens[token * k + i]));
      a[i] = static_cast<float>(sum / static_cast<double>(stats.token_count));
    }
    a = GroupMax(pairing, a);
  }
  std::vector<float> scales(a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    const float weight = means ? 1.0F : Power(std::max(w[i], kSmallest), strength.beta);
    scales[i] = Rounded(std::max(Power(a[i], strength.alpha) / weight, kSmallest), compute);
  }
  return scales;
}

}  // namespace slim
