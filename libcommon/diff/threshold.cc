#include "diff/threshold.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "diff/compare.h"

namespace slim {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

// NaN where either is.
double Smaller(double least, double value) {
  return std::isnan(least) || value >= least ? least : value;
}

double LeastLocalSqnr(const DiffResult& result) {
  if (!result.layers) return kNothing;
  double least = kInfinity;
  for (const LinearErrors& linear : result.layers->linears)
    least = Smaller(least, linear.local.sqnr_db);
  return least;
}

double LeastWeightSqnr(const DiffResult& result) {
  if (!result.weights) return kNothing;
  double least = kInfinity;
  for (const WeightErrors& weight : result.weights->tensors)
    least = Smaller(least, weight.errors.sqnr_db);
  return least;
}

// New tokens that every greedy text has in common.
double LeastSameGreedy(const DiffResult& result) {
  if (result.greedy.empty()) return kNothing;
  uint64_t least = std::numeric_limits<uint64_t>::max();
  for (const GreedyText& text : result.greedy)
    least = std::min(least, text.first_difference ? *text.first_difference - 1 : text.first_tokens);
  return static_cast<double>(least);
}

using enum Measured;

constexpr ThresholdKind kKinds[] = {
    {"max-kl", "mean KL divergence", "kl", "mean", kLogits, true, 0, kInfinity,
     [](const DiffResult& result) { return result.summary.kl.mean; }},
    {"max-kl-p99", "99th percentile of KL divergence", "kl", "p99", kLogits, true, 0, kInfinity,
     [](const DiffResult& result) { return result.summary.kl_p99.value; }},
    {"min-cosine", "mean cosine", "cosine", "mean", kLogits, false, -1, 1,
     [](const DiffResult& result) { return result.summary.cosine.mean; }},
    {"min-top1", "top-1 agreement", "top1", "agreement", kLogits, false, 0, 1,
     [](const DiffResult& result) { return result.summary.top1.mean; }},
    {"min-top5", "top-5 agreement", "top5", "agreement", kLogits, false, 0, 1,
     [](const DiffResult& result) { return result.summary.top5.mean; }},
    {"max-rmse", "RMSE of logits", "rmse", "rmse", kLogits, true, 0, kInfinity,
     [](const DiffResult& result) { return result.summary.rmse.mean; }},
    {"max-ppl-ratio", "perplexity ratio", "ppl", "ratio", kLogits, true, 0, kInfinity,
     [](const DiffResult& result) { return result.summary.perplexity_ratio.mean; }},
    {"min-routing", "expert agreement", "routing", "agreement", kRouting, false, 0, 1,
     [](const DiffResult& result) {
       return result.routing ? result.routing->agreement : kNothing;
     }},
    {"min-greedy", "greedy tokens before the texts part", "greedy", "same_tokens", kGreedy, false,
     0, kInfinity, LeastSameGreedy},
    {"min-layer-sqnr", "least local SQNR of a linear", "layers", "least_local_sqnr", kLayers, false,
     -kInfinity, kInfinity, LeastLocalSqnr},
    {"min-weight-sqnr", "least SQNR of a weight", "weights", "least_sqnr", kWeights, false,
     -kInfinity, kInfinity, LeastWeightSqnr},
};

}  // namespace

std::span<const ThresholdKind> ThresholdKinds() { return kKinds; }

std::vector<ThresholdResult> CheckThresholds(std::span<const Threshold> thresholds,
                                             const DiffResult& result) {
  std::vector<ThresholdResult> results;
  for (const Threshold& threshold : thresholds) {
    const double value = threshold.kind->value(result);
    // Written so that NaN fails: every comparison with it is false.
    const bool met =
        threshold.kind->is_maximum ? value <= threshold.limit : value >= threshold.limit;
    results.push_back({threshold.kind, threshold.limit, value, met});
  }
  return results;
}

}  // namespace slim
