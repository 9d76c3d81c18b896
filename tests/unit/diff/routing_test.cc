#include "diff/routing.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

Routing Chosen(std::vector<uint32_t> experts) {
  return {2, std::move(experts), std::vector<float>()};
}

TEST(RoutingComparison, CountsWhatBothChose) {
  RoutingComparison comparison;
  comparison.AddFirst(0, Chosen({0, 1, 2, 3}));
  comparison.AddFirst(2, Chosen({0, 1, 4, 5}));
  comparison.AddSecond(0, Chosen({0, 1, 2, 3}));
  comparison.AddSecond(2, Chosen({0, 2, 6, 7}));
  const RoutingSummary summary = comparison.Summarize();
  EXPECT_EQ(summary.choices, 4U);
  EXPECT_DOUBLE_EQ(summary.agreement, 5.0 / 8);
  EXPECT_DOUBLE_EQ(summary.same_sets, 0.5);
  EXPECT_EQ(summary.worst_layer, 2U);
  EXPECT_DOUBLE_EQ(summary.worst_agreement, 0.25);
}

TEST(RoutingComparison, NeedsTheSameExperts) {
  ModelConfig first;
  first.num_layers = 2;
  EXPECT_FALSE(RoutingComparison::Comparable(first, first));
  first.moe.emplace();
  first.moe->num_experts = 4;
  EXPECT_TRUE(RoutingComparison::Comparable(first, first));
  ModelConfig second = first;
  second.moe->dense_layers = {1};
  EXPECT_FALSE(RoutingComparison::Comparable(first, second));
}

}  // namespace
}  // namespace slim
