// The limits a comparison can be held against: one table of kinds, one check. A value that is no
// number meets no limit.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "diff/metrics.h"

namespace slim {

struct DiffResult;

// What must be measured for a kind to have a value.
enum class Measured : uint8_t { kLogits, kRouting, kGreedy, kLayers, kWeights };

struct ThresholdKind {
  std::string_view flag;    // "max-kl"
  std::string_view name;    // "mean KL divergence"
  std::string_view metric;  // where JSON and CSV have its figure
  std::string_view statistic;
  Measured measured;
  bool is_maximum;  // value <= limit meets it; else value >= limit
  // Limits that make sense.
  double lowest;
  double highest;
  double (*value)(const DiffResult& result);  // NaN when it was not measured
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
                                             const DiffResult& result);

}  // namespace slim
