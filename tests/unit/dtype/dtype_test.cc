#include "dtype/dtype.h"

#include <gtest/gtest.h>

#include <limits>

#include "dtype/scalar_convert.h"

namespace slim {
namespace {

TEST(DType, NamesAndOrderFollowTheReference) {
  EXPECT_EQ(DTypeNames().size(), 22U);
  EXPECT_EQ(ParseDType("BF16"), DType::kBF16);
  EXPECT_FALSE(ParseDType("bf16"));
  EXPECT_FALSE(ParseDType("F8_E4M3FN"));
  EXPECT_GT(DType::kI64, DType::kF32);
  EXPECT_GT(DType::kF32, DType::kI32);
  EXPECT_GT(DType::kI32, DType::kBF16);
  EXPECT_GT(DType::kBF16, DType::kF16);
  EXPECT_GT(DType::kF8E4M3, DType::kI8);
  EXPECT_EQ(DTypeBits(DType::kF6E3M2), 6U);
}

TEST(DType, ModelDTypesByEveryName) {
  EXPECT_EQ(ParseModelDType("torch.bfloat16"), DType::kBF16);
  EXPECT_EQ(ParseModelDType("fp16"), DType::kF16);
  EXPECT_FALSE(ParseModelDType("int8"));
  EXPECT_EQ(TorchDTypeName(DType::kF32), "float32");
}

TEST(ScalarConvert, EveryHalfSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = F16ToFloat(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(F16ToFloat(FloatToF16(value))));
    } else {
      EXPECT_EQ(FloatToF16(value), half);
    }
    const float wide = Bf16ToFloat(half);
    if (!std::isnan(wide)) {
      EXPECT_EQ(FloatToBf16(wide), half);
    }
  }
}

TEST(ScalarConvert, RoundsTiesToEven) {
  EXPECT_EQ(FloatToBf16(std::bit_cast<float>(0x3F808000U)), 0x3F80);
  EXPECT_EQ(FloatToBf16(std::bit_cast<float>(0x3F818000U)), 0x3F82);
  EXPECT_EQ(FloatToF16(2049.0F), FloatToF16(2048.0F));
  EXPECT_EQ(FloatToF16(2051.0F), FloatToF16(2052.0F));
  EXPECT_EQ(FloatToF16(0x1p-25F), 0);
  EXPECT_EQ(FloatToF16(0x1.8p-24F), 2);
}

TEST(ScalarConvert, OverflowsToInfinity) {
  EXPECT_EQ(FloatToF16(65519.996F), 0x7BFF);
  EXPECT_EQ(FloatToF16(65520.0F), 0x7C00);
  EXPECT_EQ(FloatToF16(-std::numeric_limits<float>::infinity()), 0xFC00);
  EXPECT_EQ(FloatToBf16(std::numeric_limits<float>::max()), 0x7F80);
  EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(std::nanf("")))));
}

TEST(ScalarConvert, F8E4M3) {
  EXPECT_EQ(F8E4M3ToFloat(0x7E), 448.0F);
  EXPECT_EQ(F8E4M3ToFloat(0x01), 0x1p-9F);
  EXPECT_EQ(F8E4M3ToFloat(0xB8), -1.0F);
  EXPECT_TRUE(std::isnan(F8E4M3ToFloat(0x7F)));
}

// facts/formats.md A.1: 0x39120000 is stored as 957480960.
TEST(ScalarConvert, DeqScaleBits) {
  EXPECT_EQ(FloatToDeqBits(std::bit_cast<float>(0x39120000U)), 957480960);
  EXPECT_EQ(DeqBitsToFloat(957480960), std::bit_cast<float>(0x39120000U));
}

}  // namespace
}  // namespace slim
