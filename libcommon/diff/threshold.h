// The limits a comparison can be held against: one table of kinds, one check. A value that is no
// number meets no limit.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "diff/metrics.h"

namespace slim {

struct ThresholdKind {
  std::string_view flag;  // "max-kl"
  std::string_view name;  // "mean KL divergence"
  Metric metric;
  bool is_maximum;  // value <= limit meets it; else value >= limit
  // Limits that make sense.
  double lowest;
  double highest;
  double (*value)(const LogitSummary& summary);
};
std::span<const ThresholdKind> ThresholdKinds();

struct Threshold {
  const ThresholdKind* kind;  // of ThresholdKinds()
  double limit;
};

struct ThresholdResult {
  const ThresholdKind* kind;
  double limit;
  double value;
  bool met;
};
std::vector<ThresholdResult> CheckThresholds(std::span<const Threshold> thresholds,
                                             const LogitSummary& summary);

}  // namespace slim
