#include "run/sampler.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>

namespace slim {
namespace {

constexpr std::array<float, 6> kLogits = {0.5F, 2.0F, -1.0F, 2.0F, 1.0F, -30.0F};

std::map<int32_t, int> Draw(const SamplingOptions& options, int count) {
  Sampler sampler(options);
  std::map<int32_t, int> counts;
  for (int i = 0; i < count; ++i) ++counts[sampler.Pick(kLogits)];
  return counts;
}

TEST(Sampler, GreedyTakesTheFirstOfEqualLogits) {
  EXPECT_EQ(ArgMax(kLogits), 1);
  Sampler sampler({});
  EXPECT_EQ(sampler.Pick(kLogits), 1);
}

TEST(Sampler, FrequenciesFollowTheSoftmaxAtTheTemperature) {
  constexpr int kCount = 20000;
  auto counts = Draw({.temperature = 2.0, .seed = 3}, kCount);
  double total = 0;
  for (const float logit : kLogits) total += std::exp(static_cast<double>(logit) / 2.0);
  for (size_t i = 0; i < kLogits.size(); ++i) {
    const double wanted = std::exp(static_cast<double>(kLogits[i]) / 2.0) / total;
    EXPECT_NEAR(counts[static_cast<int32_t>(i)] / static_cast<double>(kCount), wanted, 0.015) << i;
  }
}

TEST(Sampler, TopKKeepsTheMostProbable) {
  const auto counts = Draw({.temperature = 5.0, .top_k = 3, .seed = 1}, 3000);
  EXPECT_EQ(counts.size(), 3U);
  EXPECT_EQ(counts.count(1) + counts.count(3) + counts.count(4), 3U);
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesIt) {
  // At temperature 1 tokens 1 and 3 hold 0.379 each, token 4 0.139.
  EXPECT_EQ(Draw({.temperature = 1.0, .top_p = 0.3, .seed = 1}, 1000).size(), 1U);
  EXPECT_EQ(Draw({.temperature = 1.0, .top_p = 0.6, .seed = 1}, 1000).size(), 2U);
  EXPECT_EQ(Draw({.temperature = 1.0, .top_p = 0.8, .seed = 1}, 1000).size(), 3U);
}

TEST(Sampler, TopKOfOneIsGreedyWhateverTheTemperature) {
  const auto counts = Draw({.temperature = 100.0, .top_k = 1, .seed = 9}, 100);
  EXPECT_EQ(counts.at(1), 100);
}

TEST(Sampler, ASeedGivesItsSequence) {
  Sampler a({.temperature = 1.0, .seed = 5});
  Sampler b({.temperature = 1.0, .seed = 5});
  Sampler c({.temperature = 1.0, .seed = 6});
  bool differs = false;
  for (int i = 0; i < 50; ++i) {
    const int32_t x = a.Pick(kLogits);
    EXPECT_EQ(x, b.Pick(kLogits));
    differs = differs || x != c.Pick(kLogits);
  }
  EXPECT_TRUE(differs);
}

TEST(RandomNumbers, AreSplitMix64) {
  // The reference sequence of SplitMix64 for seed 1234567 (prng.di.unimi.it/splitmix64.c).
  RandomNumbers random(1234567);
  EXPECT_EQ(random.Next(), 6457827717110365317ULL);
  EXPECT_EQ(random.Next(), 3203168211198807973ULL);
  EXPECT_EQ(random.Next(), 9817491932198370423ULL);
  const double unit = random.NextUnit();
  EXPECT_GE(unit, 0.0);
  EXPECT_LT(unit, 1.0);
}

}  // namespace
}  // namespace slim
