#include "quant/analyze.h"

#include <gtest/gtest.h>

#include <numeric>

namespace slim {
namespace {

TEST(Analyze, KeepsEveryHundredthSortedValue) {
  std::vector<float> values(350);
  std::iota(values.rbegin(), values.rend(), 0.0F);
  EXPECT_EQ(ThinnedSorted(values.data(), values.size()), (std::vector<float>{50, 150, 250}));
  EXPECT_EQ(ThinnedSorted(values.data(), 2), (std::vector<float>{348, 349}));
}

// By numpy in float64: z = (x - x.mean()) / (x.std() + 1e-10); (z ** 4).mean() - 3.
TEST(Analyze, Kurtosis) {
  EXPECT_NEAR(KurtosisScore({1, 2, 3, 4, 100}), 0.2467165, 1e-6);
  EXPECT_NEAR(KurtosisScore({-1, 1, -1, 1}), -2, 1e-8);
  EXPECT_EQ(KurtosisScore({}), 0);
}

// 2 * 100 / 254 / (x[3 * 5 // 4 ...]): sorted {1, 2, 3, 4, 100}, quarter 1: 4 - 2.
TEST(Analyze, Quantile) {
  EXPECT_NEAR(QuantileScore({100, 3, 2, 1, 4}), 2.0 * 100 / 254 / 2, 1e-9);
  EXPECT_EQ(QuantileScore({}), 0);
}

TEST(Analyze, EqualScoresShareARank) {
  Analysis analysis;
  analysis.scores = {{"q", 3}, {"k", 3}, {"o", 2}, {"up", 1}};
  EXPECT_EQ(TopScores(analysis, 1).size(), 2U);
  EXPECT_EQ(TopScores(analysis, 2).size(), 3U);
  EXPECT_EQ(TopScores(analysis, 9).size(), 4U);
}

}  // namespace
}  // namespace slim
