#include "quant/smooth.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dtype/scalar_convert.h"

namespace slim {
namespace {

// facts/algorithms.md 11.
TEST(IterSmoothScales, MatchTheFacts) {
  const std::vector<float> activation = {4, 0.5F, 16};
  const std::vector<float> weight = {0.1F, 0.2F, 0.05F};
  const std::vector<float> half = IterSmoothScales(activation, weight, 0.5, DType::kF32);
  EXPECT_FLOAT_EQ(half[0], 6.3245554F);
  EXPECT_FLOAT_EQ(half[1], 1.58113885F);
  EXPECT_FLOAT_EQ(half[2], 17.8885441F);
  const std::vector<float> strong = IterSmoothScales(activation, weight, 0.9, DType::kF32);
  EXPECT_FLOAT_EQ(strong[0], 4.38383293F);
  EXPECT_FLOAT_EQ(strong[1], 0.629462779F);
  EXPECT_FLOAT_EQ(strong[2], 16.361042F);
}

TEST(IterSmoothScales, DeadChannelsStayFinite) {
  const std::vector<float> scales = IterSmoothScales(
      std::vector<float>{0.0F, 1.0F}, std::vector<float>{1.0F, 0.0F}, 0.9, DType::kF32);
  EXPECT_EQ(scales[0], 1e-5F);
  EXPECT_TRUE(std::isfinite(scales[1]));
}

TEST(FoldNorm, LinearsTakeWhatTheStoredNormGaveUp) {
  const std::vector<float> weight = {1.0F, -0.5F, 0.0F};
  const std::vector<float> scales = {3.0F, 0.7F, 2.0F};
  const FoldedNorm folded = FoldNorm(weight, scales, DType::kBF16, ComputeMode::kFp32);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(folded.weight[i], Bf16ToFloat(FloatToBf16(folded.weight[i])));
    EXPECT_FLOAT_EQ(folded.weight[i] * folded.column_scale[i], weight[i]);
    EXPECT_NEAR(folded.column_scale[i], scales[i], scales[i] / 128);
  }
  EXPECT_EQ(folded.weight[2], 0.0F);
  EXPECT_EQ(folded.column_scale[2], 1.0F);
}

TEST(FoldNorm, ModelModeRoundsTheInverseFirst) {
  const FoldedNorm folded = FoldNorm(std::vector<float>{1.5F}, std::vector<float>{3.0F},
                                     DType::kF32, ComputeMode::kModel);
  EXPECT_EQ(folded.weight[0], 1.5F * (1.0F / 3.0F));
  EXPECT_EQ(folded.column_scale[0], 3.0F);
}

}  // namespace
}  // namespace slim
