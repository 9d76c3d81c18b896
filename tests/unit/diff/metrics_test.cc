#include "diff/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace slim {
namespace {

constexpr std::optional<int32_t> kNoTarget;

PositionMetrics Compare(const std::vector<float>& first, const std::vector<float>& second,
                        std::optional<int32_t> target = kNoTarget) {
  return ComparePosition(first.data(), second.data(), first.size(), target);
}

// torch 2.13, float64: p = log_softmax([1, 2, 0.5, -1]), q = log_softmax([0.5, 2.5, 0, -1]),
// (p.exp() * (p - q)).sum(), cosine_similarity, -p[2], -q[2].
TEST(ComparePosition, MatchesTorch) {
  const PositionMetrics metrics = Compare({1, 2, 0.5F, -1}, {0.5F, 2.5F, 0, -1}, 2);
  EXPECT_NEAR(metrics.kl, 0.1014223150991622, 1e-14);
  EXPECT_NEAR(metrics.cosine, 0.949385766342288, 1e-14);
  EXPECT_NEAR(metrics.squared_error, 0.75, 1e-15);
  EXPECT_NEAR(metrics.first_nll, 1.995181898085856, 1e-14);
  EXPECT_NEAR(metrics.second_nll, 2.7212358650636035, 1e-14);
  EXPECT_TRUE(metrics.same_top1);
}

TEST(ComparePosition, EqualRowsDifferByNothingAtAll) {
  std::vector<float> row;
  for (int i = 0; i < 1000; ++i) row.push_back(std::sin(static_cast<float>(i)) * 17.3F);
  const PositionMetrics metrics = Compare(row, row, 5);
  EXPECT_EQ(metrics.kl, 0);
  EXPECT_EQ(metrics.cosine, 1);
  EXPECT_EQ(metrics.squared_error, 0);
  EXPECT_EQ(metrics.first_nll, metrics.second_nll);
  EXPECT_TRUE(metrics.same_top1);
  EXPECT_TRUE(metrics.in_top5);
}

// A constant on top of all logits changes no probability.
TEST(ComparePosition, AConstantShiftIsNoDivergence) {
  const PositionMetrics metrics = Compare({-3, -2, -1}, {97, 98, 99});
  EXPECT_NEAR(metrics.kl, 0, 1e-14);
  EXPECT_GE(metrics.kl, 0);
  EXPECT_TRUE(metrics.same_top1);
  EXPECT_LT(metrics.cosine, 0);
}

// The mistakes of comparison tools: dividing by signed values, so that negative rows never differ.
TEST(ComparePosition, SignsDoNotHideDifferences) {
  for (const float sign : {1.0F, -1.0F}) {
    const PositionMetrics metrics = Compare({sign * 1, sign * 2}, {sign * 2, sign * 1});
    EXPECT_GT(metrics.kl, 0.1);
    EXPECT_EQ(metrics.squared_error, 2);
    EXPECT_FALSE(metrics.same_top1);
  }
  EXPECT_EQ(Compare({1, -2}, {-1, 2}).cosine, -1);
}

TEST(ComparePosition, DivergenceIsNotSymmetric) {
  const std::vector<float> sharp = {8, 0, 0};
  const std::vector<float> flat = {0.1F, 0, 0};
  EXPECT_GT(Compare(flat, sharp).kl, 2 * Compare(sharp, flat).kl);
}

TEST(ComparePosition, HugeLogitsStayFinite) {
  const PositionMetrics metrics = Compare({3e38F, -3e38F}, {-3e38F, 3e38F}, 0);
  EXPECT_TRUE(std::isfinite(metrics.kl));
  EXPECT_GT(metrics.kl, 1e38);
  EXPECT_NEAR(metrics.cosine, -1, 1e-15);
  EXPECT_EQ(metrics.first_nll, 0);
}

TEST(ComparePosition, Zeros) {
  EXPECT_EQ(Compare({0, 0}, {0, 0}).cosine, 1);
  EXPECT_EQ(Compare({0, 0}, {0, 1}).cosine, 0);
  EXPECT_EQ(Compare({0, 1}, {0, 0}).cosine, 0);
}

TEST(ComparePosition, TopFiveIsAboutTheFirstsChoice) {
  const std::vector<float> first = {9, 0, 0, 0, 0, 0, 0};
  // The first's choice is the second's fifth, then its sixth.
  const PositionMetrics fifth = Compare(first, {4, 8, 7, 6, 5, 0, 0});
  EXPECT_FALSE(fifth.same_top1);
  EXPECT_TRUE(fifth.in_top5);
  EXPECT_FALSE(Compare(first, {4, 8, 7, 6, 5, 4.5F, 0}).in_top5);
}

TEST(ComparePosition, EqualLogitsGoToTheSmallerToken) {
  EXPECT_TRUE(Compare({3, 3, 0}, {3, 3, 0}).same_top1);
  EXPECT_FALSE(Compare({0, 3, 3}, {3, 3, 0}).same_top1);
  // All equal: token 5 is the sixth.
  EXPECT_FALSE(Compare({0, 0, 0, 0, 0, 1}, {2, 2, 2, 2, 2, 2}).in_top5);
  EXPECT_TRUE(Compare({0, 0, 0, 0, 1, 0}, {2, 2, 2, 2, 2, 2}).in_top5);
}

// numpy 2: std(ddof=1) / sqrt(4) of [1, 2, 3, 5].
TEST(EstimateMean, MatchesNumpy) {
  const Estimate estimate = EstimateMean(std::vector<double>{1, 2, 3, 5});
  EXPECT_EQ(estimate.mean, 2.75);
  EXPECT_NEAR(estimate.standard_error, 0.85391256382996661, 1e-15);
  EXPECT_EQ(EstimateMean(std::vector<double>{7}).standard_error, 0);
}

// numpy 2: quantile([5, 1, 3, 2], q).
TEST(SortedQuantile, MatchesNumpy) {
  const std::vector<double> values = {1, 2, 3, 5};
  EXPECT_EQ(SortedQuantile(values, 0), 1);
  EXPECT_EQ(SortedQuantile(values, 0.5), 2.5);
  EXPECT_NEAR(SortedQuantile(values, 0.99), 4.94, 1e-14);
  EXPECT_EQ(SortedQuantile(values, 1), 5);
}

// The median of 0, 1, …, n has a standard error of half √n ranks.
TEST(EstimateQuantile, ErrorIsThatOfTheRank) {
  std::vector<double> values(10001);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  const QuantileEstimate median = EstimateQuantile(values, 0.5);
  EXPECT_EQ(median.value, 5000);
  EXPECT_NEAR(median.standard_error, 50, 0.01);
  const QuantileEstimate largest = EstimateQuantile(values, 1);
  EXPECT_EQ(largest.value, 10000);
  EXPECT_EQ(largest.standard_error, 0);
  EXPECT_EQ(EstimateQuantile(std::vector<double>{7}, 0.5).value, 7);
}

TEST(LogitStatistics, SumsUpWindows) {
  LogitStatistics statistics(2);
  statistics.BeginWindow();
  statistics.Add({.kl = 0.5,
                  .cosine = 1,
                  .squared_error = 4,
                  .same_top1 = true,
                  .in_top5 = true,
                  .first_nll = 1,
                  .second_nll = 1.5},
                 true);
  statistics.Add({.kl = 0, .cosine = 0.5, .squared_error = 0, .same_top1 = true, .in_top5 = true},
                 false);
  statistics.BeginWindow();
  statistics.Add({.kl = 0.25,
                  .cosine = 1,
                  .squared_error = 0,
                  .same_top1 = true,
                  .in_top5 = true,
                  .first_nll = 3,
                  .second_nll = 3.5},
                 true);
  statistics.Add(
      {.kl = 1.25, .cosine = -0.5, .squared_error = 12, .same_top1 = false, .in_top5 = true},
      false);
  const LogitSummary summary = statistics.Summarize();
  EXPECT_EQ(summary.windows, 2);
  EXPECT_EQ(summary.positions, 4);
  EXPECT_EQ(summary.scored_tokens, 2);
  EXPECT_EQ(summary.kl.mean, 0.5);
  EXPECT_EQ(summary.kl_median.value, 0.375);
  EXPECT_EQ(summary.kl_max, 1.25);
  EXPECT_EQ(summary.kl_max_place.window, 2);
  EXPECT_EQ(summary.kl_max_place.position, 2);
  EXPECT_EQ(summary.top1.mean, 0.75);
  EXPECT_EQ(summary.flips, 1);
  EXPECT_EQ(summary.top5.mean, 1);
  EXPECT_EQ(summary.cosine.mean, 0.5);
  EXPECT_EQ(summary.cosine_min, -0.5);
  EXPECT_NEAR(summary.rmse.mean, std::sqrt(2.0), 1e-15);
  EXPECT_NEAR(summary.first_perplexity.mean, std::exp(2.0), 1e-14);
  EXPECT_NEAR(summary.second_perplexity.mean, std::exp(2.5), 1e-14);
  EXPECT_NEAR(summary.perplexity_ratio.mean, std::exp(0.5), 1e-15);
  // Both positions differ by the same 0.5: the ratio is certain although the perplexities are not.
  EXPECT_EQ(summary.perplexity_ratio.standard_error, 0);
  // Both perplexities have s = √2 in ln, n = 2.
  EXPECT_NEAR(summary.first_perplexity.standard_error, std::exp(2.0), 1e-13);
  // 2, 0, 0, 6 a position, whose mean is 2: s / √4 = √8 / 2, times 1 / (2 √2).
  EXPECT_NEAR(summary.rmse.standard_error, 0.5, 1e-14);
  const double deltas[] = {std::exp(-1.5) - std::exp(-1.0), std::exp(-3.5) - std::exp(-3.0)};
  EXPECT_NEAR(summary.delta_p.mean.mean, (deltas[0] + deltas[1]) / 2, 1e-15);
  EXPECT_NEAR(summary.delta_p.rms.mean,
              std::sqrt((deltas[0] * deltas[0] + deltas[1] * deltas[1]) / 2), 1e-15);
  EXPECT_NEAR(summary.delta_p.quantiles.front(), deltas[0], 1e-15);
  EXPECT_NEAR(summary.delta_p.quantiles.back(), deltas[1], 1e-15);
}

TEST(LogitStatistics, RanksTheWorst) {
  LogitStatistics statistics(2);
  statistics.BeginWindow();
  statistics.Add({.kl = 0.5}, true);
  statistics.Add({.kl = 0.75}, false);
  statistics.BeginWindow();
  statistics.Add({.kl = 0.75}, true);
  statistics.Add({.kl = 0.25}, false);
  const auto worst = statistics.Worst(3);
  ASSERT_EQ(worst.size(), 3);
  EXPECT_EQ(worst[0].place.window, 1);
  EXPECT_EQ(worst[0].place.position, 2);
  EXPECT_FALSE(worst[0].scored);
  EXPECT_EQ(worst[1].place.window, 2);
  EXPECT_EQ(worst[1].place.position, 1);
  EXPECT_EQ(worst[2].metrics.kl, 0.5);
  EXPECT_EQ(statistics.Worst(100).size(), 4);
}

TEST(Metrics, NamesReadBack) {
  for (const Metric metric : AllMetrics()) EXPECT_EQ(ParseMetric(MetricName(metric)), metric);
  EXPECT_FALSE(ParseMetric("").has_value());
  EXPECT_FALSE(ParseMetric("KL").has_value());
}

}  // namespace
}  // namespace slim
