#include "diff/threshold.h"

#include <limits>

namespace slim {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

constexpr ThresholdKind kKinds[] = {
    {"max-kl", "mean KL divergence", Metric::kKl, true, 0, kInfinity,
     [](const LogitSummary& summary) { return summary.kl.mean; }},
    {"min-cosine", "mean cosine", Metric::kCosine, false, -1, 1,
     [](const LogitSummary& summary) { return summary.cosine.mean; }},
    {"min-top1", "top-1 agreement", Metric::kTop1, false, 0, 1,
     [](const LogitSummary& summary) { return summary.top1.mean; }},
    {"max-ppl-ratio", "perplexity ratio", Metric::kPerplexity, true, 0, kInfinity,
     [](const LogitSummary& summary) { return summary.perplexity_ratio.mean; }},
};

}  // namespace

std::span<const ThresholdKind> ThresholdKinds() { return kKinds; }

std::vector<ThresholdResult> CheckThresholds(std::span<const Threshold> thresholds,
                                             const LogitSummary& summary) {
  std::vector<ThresholdResult> results;
  for (const Threshold& threshold : thresholds) {
    const double value = threshold.kind->value(summary);
    // Written so that NaN fails: every comparison with it is false.
    const bool met =
        threshold.kind->is_maximum ? value <= threshold.limit : value >= threshold.limit;
    results.push_back({threshold.kind, threshold.limit, value, met});
  }
  return results;
}

}  // namespace slim
