#include "run/router.h"

#include <gtest/gtest.h>

#include <cmath>

namespace slim {
namespace {

MoeConfig Softmax(uint64_t experts, uint64_t chosen) {
  MoeConfig moe;
  moe.num_experts = experts;
  moe.experts_per_token = chosen;
  return moe;
}

Routing Route(const MoeConfig& moe, std::vector<float> logits,
              const std::vector<float>& correction = {}) {
  ThreadPool pool(1);
  Routing routing;
  RouteTokens(moe, logits, correction, routing, pool);
  return routing;
}

TEST(Router, TakesTheBestAndKeepsTheirProbabilities) {
  const Routing routing = Route(Softmax(4, 2), {0, 2, 1, -1});
  EXPECT_EQ(routing.experts, (std::vector<uint32_t>{1, 2}));
  const double sum = std::exp(0) + std::exp(2) + std::exp(1) + std::exp(-1);
  EXPECT_NEAR(routing.weights[0], std::exp(2) / sum, 1e-6);
  EXPECT_NEAR(routing.weights[1], std::exp(1) / sum, 1e-6);
}

TEST(Router, NormalizesAndScales) {
  MoeConfig moe = Softmax(3, 2);
  moe.normalize = true;
  moe.scaling = 2;
  const Routing routing = Route(moe, {1, 1, 0});
  EXPECT_FLOAT_EQ(routing.weights[0], 1.0F);
  EXPECT_FLOAT_EQ(routing.weights[1], 1.0F);
}

TEST(Router, TiesGoToTheSmallerNumber) {
  EXPECT_EQ(Route(Softmax(4, 2), {3, 3, 3, 3}).experts, (std::vector<uint32_t>{0, 1}));
}

TEST(Router, BestGroupsLimitTheChoice) {
  MoeConfig moe = Softmax(6, 2);
  moe.ranking = GroupRanking::kBest;
  moe.groups = 3;
  moe.groups_kept = 1;
  // The second best expert of all is in another group than the best.
  EXPECT_EQ(Route(moe, {5, 0, 4, 3, 1, 1}).experts, (std::vector<uint32_t>{0, 1}));
  moe.ranking = GroupRanking::kBestTwo;
  EXPECT_EQ(Route(moe, {5, -9, 4, 3.9F, 1, 1}).experts, (std::vector<uint32_t>{0, 1}));
  moe.scores = RouterScores::kSigmoid;
  EXPECT_EQ(Route(moe, {5, -9, 4, 3.9F, 1, 1}).experts, (std::vector<uint32_t>{2, 3}));
}

TEST(Router, TheCorrectionChoosesButDoesNotWeigh) {
  MoeConfig moe = Softmax(3, 1);
  moe.scores = RouterScores::kSigmoid;
  const Routing routing = Route(moe, {0, 1, 2}, {1, 0, 0});
  EXPECT_EQ(routing.experts, std::vector<uint32_t>{0});
  EXPECT_FLOAT_EQ(routing.weights[0], 0.5F);
}

TEST(Router, NaNIsNeverAReasonToReadElsewhere) {
  const Routing routing = Route(Softmax(4, 2), {NAN, NAN, NAN, NAN});
  EXPECT_EQ(routing.experts, (std::vector<uint32_t>{0, 1}));
}

}  // namespace
}  // namespace slim
