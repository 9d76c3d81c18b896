#include "quant/flex_smooth.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "kernels/convert.h"
#include "kernels/math.h"
#include "kernels/matmul.h"
#include "kernels/quantize.h"
#include "kernels/reduce.h"
#include "linear/int8.h"

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

// The relative error of X Wᵀ that quantizing X / s and W · s causes.
class Trial {
 public:
  Trial(const SmoothPairing& pairing, const InputStats& stats, const SmoothContext& context)
      : stats_(stats), context_(context), k_(stats.range.min.size()) {
    for (const std::string& target : pairing.targets) AddWeight(target);
    n_ = weight_.size() / k_;
    golden_.resize(stats.token_count * n_);
    const TensorView weight{DType::kF32, {n_, k_}, std::as_bytes(std::span(weight_))};
    MatMul(stats.tokens.data(), stats.token_count, weight, golden_.data(), context.pool);
    for (const float value : golden_)
      golden_square_ += static_cast<double>(value) * static_cast<double>(value);
  }

  // NaN when a scale is zero or not finite.
  double Error(std::span<const float> scales) {
    for (const float scale : scales) {
      if (!(scale > 0) || !std::isfinite(scale)) return std::numeric_limits<double>::quiet_NaN();
    }
    QuantizeWeight(scales);
    double sum = 0;
    for (uint64_t begin = 0; begin < stats_.token_count; begin += kTokensPerTile) {
      const uint64_t end = std::min(stats_.token_count, begin + kTokensPerTile);
      sum += TileError(scales, begin, end - begin);
    }
    return golden_square_ > 0 ? std::sqrt(sum / golden_square_) : 0.0;
  }

 private:
  void AddWeight(const std::string& target) {
    const Tensor& weight = context_.block.Linear(target)[Role::kWeight];
    const size_t before = weight_.size();
    weight_.resize(before + weight.elements());
    ToFloat(weight.dtype, weight.data.data(), weight_.data() + before, weight.elements());
  }

  void QuantizeWeight(std::span<const float> scales) {
    const int largest = context_.weight_bits == 4 ? 7 : 127;
    weight_codes_.resize(n_ * k_);
    weight_scale_.resize(n_);
    context_.pool.ParallelFor(n_, 16, [&](uint64_t begin, uint64_t end) {
      std::vector<float> row(k_);
      for (uint64_t i = begin; i < end; ++i) {
        for (uint64_t j = 0; j < k_; ++j) row[j] = weight_[i * k_ + j] * scales[j];
        weight_scale_[i] = QuantizeSymmetric(row, largest, weight_codes_.data() + i * k_);
      }
    });
  }

  double TileError(std::span<const float> scales, uint64_t first, uint64_t count) {
    std::vector<int8_t> codes(count * k_);
    std::vector<float> token_scale(count);
    context_.pool.ParallelFor(count, 4, [&](uint64_t begin, uint64_t end) {
      std::vector<float> row(k_);
      for (uint64_t i = begin; i < end; ++i) {
        const float* x = stats_.tokens.data() + (first + i) * k_;
        for (uint64_t j = 0; j < k_; ++j) row[j] = x[j] / scales[j];
        token_scale[i] = QuantizeSymmetric(row, 127, codes.data() + i * k_);
      }
    });
    std::vector<int32_t> sums(count * n_);
    MatMulInt8(codes.data(), count, weight_codes_.data(), n_, k_, sums.data(), context_.pool);
    std::vector<double> errors(count);
    context_.pool.ParallelFor(count, 4, [&](uint64_t begin, uint64_t end) {
      for (uint64_t i = begin; i < end; ++i) {
        double sum = 0;
        for (uint64_t j = 0; j < n_; ++j) {
          const float value =
              static_cast<float>(sums[i * n_ + j]) * token_scale[i] * weight_scale_[j];
          const auto error = static_cast<double>(value - golden_[(first + i) * n_ + j]);
          sum += error * error;
        }
        errors[i] = sum;
      }
    });
    double total = 0;
    for (const double error : errors) total += error;
    return total;
  }

  const InputStats& stats_;
  const SmoothContext& context_;
  uint64_t k_ = 0;
  uint64_t n_ = 0;
  std::vector<float> weight_;  // [n, k] of all targets
  std::vector<float> golden_;  // [tokens, n]
  double golden_square_ = 0;
  std::vector<int8_t> weight_codes_;
  std::vector<float> weight_scale_;
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
