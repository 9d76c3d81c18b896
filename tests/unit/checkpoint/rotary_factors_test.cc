// Against the ratios of the inverse frequencies that transformers 4.57 computes with and without
// the scaling.
#include "checkpoint/dialects/rotary_factors.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

struct Case {
  double factor;
  uint64_t half;
  uint64_t kept;               // factors of 1 in front
  std::vector<float> between;  // after them; the rest is `factor`
};
const Case kCases[] = {
    {8, 64, 29, {1.207484F, 1.553415F, 2.026313F, 2.69453F, 3.684253F, 5.257327F}},  // Llama 3.1
    {32, 32, 15, {1.651329F, 3.292263F, 9.66673F}},                                  // Llama 3.2
};

TEST(RotaryFactors, AreThoseOfTransformers) {
  for (const auto& [factor, half, kept, between] : kCases) {
    const std::vector<float> factors = RotaryFactors({.factor = factor}, 500000, half);
    ASSERT_EQ(factors.size(), half);
    for (uint64_t i = 0; i < half; ++i) {
      const float wanted = i < kept                    ? 1.0F
                           : i - kept < between.size() ? between[i - kept]
                                                       : static_cast<float>(factor);
      EXPECT_NEAR(factors[i], wanted, 2e-6F * wanted) << i;
    }
  }
}

TEST(RotaryFactors, SayWhatScalingMadeThem) {
  for (const auto& [factor, half, kept, between] : kCases) {
    for (const double original : {8192.0, 4000.0, 64.0}) {
      const Llama3Scaling made{.factor = factor, .original_max_position = original};
      const auto found = ScalingOfRotaryFactors(RotaryFactors(made, 500000, half), 500000);
      ASSERT_TRUE(found);
      EXPECT_EQ(found->factor, factor);
      EXPECT_EQ(found->original_max_position, original);
    }
  }
}

TEST(RotaryFactors, OfAnotherScalingSayNothing) {
  EXPECT_FALSE(ScalingOfRotaryFactors({}, 500000));
  const std::vector<float> ones(64, 1.0F);
  EXPECT_FALSE(ScalingOfRotaryFactors(ones, 500000));
  std::vector<float> factors = RotaryFactors({}, 500000, 64);
  EXPECT_FALSE(ScalingOfRotaryFactors(factors, 10000));
  factors[31] += 0.01F;
  EXPECT_FALSE(ScalingOfRotaryFactors(factors, 500000));
  factors[63] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(ScalingOfRotaryFactors(factors, 500000));
}

TEST(RotaryFactors, NeedEveryEntryOfRopeScaling) {
  const Json whole = Llama3Scaling{}.ToJson();
  const auto read = Llama3Scaling::Of(whole);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->ToJson(), whole);
  for (const char* key :
       {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}) {
    Json other = whole;
    other.Set(key, -1);
    EXPECT_FALSE(Llama3Scaling::Of(other)) << key;
  }
  Json other = whole;
  other.Set("high_freq_factor", Json::Real(1));
  EXPECT_FALSE(Llama3Scaling::Of(other));
}

}  // namespace
}  // namespace slim
