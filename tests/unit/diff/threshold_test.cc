#include "diff/threshold.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "diff/compare.h"

namespace slim {
namespace {

const ThresholdKind& FindKind(std::string_view flag) {
  for (const ThresholdKind& kind : ThresholdKinds()) {
    if (kind.flag == flag) return kind;
  }
  ADD_FAILURE() << "no threshold " << flag;
  return ThresholdKinds().front();
}

bool Met(std::string_view flag, double limit, const DiffResult& result) {
  const Threshold threshold{&FindKind(flag), limit};
  const auto results = CheckThresholds(std::span(&threshold, 1), result);
  return results.size() == 1 && results.front().met;
}

DiffResult Everywhere(double value) {
  DiffResult result;
  result.summary.kl.mean = value;
  result.summary.kl_p99.value = value;
  result.summary.cosine.mean = value;
  result.summary.top1.mean = value;
  result.summary.top5.mean = value;
  result.summary.rmse.mean = value;
  result.summary.perplexity_ratio.mean = value;
  result.routing.emplace().agreement = value;
  result.layers.emplace().linears.emplace_back().local.sqnr_db = value;
  result.weights.emplace().tensors.emplace_back().errors.sqnr_db = value;
  return result;
}

TEST(CheckThresholds, LimitsIncludeTheirOwnValue) {
  const DiffResult half = Everywhere(0.5);
  for (const std::string_view flag : {"max-kl", "max-ppl-ratio"}) {
    EXPECT_TRUE(Met(flag, 0.5, half)) << flag;
    EXPECT_TRUE(Met(flag, 0.6, half)) << flag;
    EXPECT_FALSE(Met(flag, 0.4, half)) << flag;
  }
  for (const std::string_view flag : {"min-cosine", "min-top1"}) {
    EXPECT_TRUE(Met(flag, 0.5, half)) << flag;
    EXPECT_TRUE(Met(flag, 0.4, half)) << flag;
    EXPECT_FALSE(Met(flag, 0.6, half)) << flag;
  }
}

// A comparison with NaN is false; a tool that asks "value > limit?" calls it equal.
TEST(CheckThresholds, NanMeetsNothing) {
  const DiffResult nan = Everywhere(std::numeric_limits<double>::quiet_NaN());
  for (const ThresholdKind& kind : ThresholdKinds()) {
    EXPECT_FALSE(Met(kind.flag, kind.lowest, nan)) << kind.flag;
    EXPECT_FALSE(Met(kind.flag, kind.highest, nan)) << kind.flag;
  }
}

TEST(CheckThresholds, InfiniteValuesFailFiniteLimits) {
  const DiffResult infinite = Everywhere(std::numeric_limits<double>::infinity());
  EXPECT_FALSE(Met("max-kl", 1e300, infinite));
  EXPECT_FALSE(Met("max-ppl-ratio", 1e300, infinite));
}

TEST(CheckThresholds, ANegativeCosineIsBelowANegativeLimit) {
  EXPECT_FALSE(Met("min-cosine", -0.25, Everywhere(-0.5)));
  EXPECT_TRUE(Met("min-cosine", -0.75, Everywhere(-0.5)));
}

TEST(CheckThresholds, ResultsCarryValueAndLimit) {
  const Threshold threshold{&FindKind("max-kl"), 0.1};
  const auto results = CheckThresholds(std::span(&threshold, 1), Everywhere(0.3));
  ASSERT_EQ(results.size(), 1);
  EXPECT_EQ(results[0].limit, 0.1);
  EXPECT_EQ(results[0].value, 0.3);
}

}  // namespace
}  // namespace slim
