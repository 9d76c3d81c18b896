#include "linear/int8.h"

#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "dtype/scalar_convert.h"
#include "linear/w8a8.h"

namespace slim {
namespace {

uint32_t Bits(float value) { return std::bit_cast<uint32_t>(value); }

float To(DType dtype, float value) {
  if (dtype == DType::kBF16) return Bf16ToFloat(FloatToBf16(value));
  if (dtype == DType::kF16) return F16ToFloat(FloatToF16(value));
  return value;
}

std::vector<float> Rounded(DType dtype, std::vector<float> values) {
  for (float& value : values) value = To(dtype, value);
  return values;
}

// facts/formats.md, Appendix A.1: two rows, activation range [-1.5, 3.0], bias [0.1, -2.0].
struct Vector {
  DType dtype;
  uint32_t scale0, scale1;
  uint32_t input_scale;
  float input_offset;
  uint32_t deq0, deq1;
  int32_t plain0, plain1;
  int32_t biased0, biased1;
};

class AppendixA1 : public testing::TestWithParam<Vector> {};

TEST_P(AppendixA1, CodesScalesAndFold) {
  const Vector& want = GetParam();
  const std::vector<float> row0 = Rounded(want.dtype, {0.5F, -1.0F, 0.25F, 0.0078125F});
  const std::vector<float> row1 = Rounded(want.dtype, {0.3F, 0.7F, -0.123F, 0.9F});
  std::vector<int8_t> codes(8);
  const float scale0 =
      QuantizeByRange(row0, 8, true, want.dtype, std::span(codes).subspan(0, 4)).scale;
  const float scale1 =
      QuantizeByRange(row1, 8, true, want.dtype, std::span(codes).subspan(4, 4)).scale;
  EXPECT_EQ(Bits(scale0), want.scale0);
  EXPECT_EQ(Bits(scale1), want.scale1);
  EXPECT_EQ(codes, (std::vector<int8_t>{64, -127, 32, 1, 42, 99, -17, 127}));

  const QuantizationRange input = AsymmetricInt8Range(-1.5F, 3.0F, want.dtype);
  EXPECT_EQ(Bits(input.scale), want.input_scale);
  EXPECT_EQ(input.offset, want.input_offset);

  const std::vector<float> scales = {scale0, scale1};
  const StaticFold plain =
      FoldStaticW8A8(codes, 2, 4, scales, input, {}, want.dtype, FoldRounding::kAsWritten, nullptr);
  EXPECT_EQ(Bits(plain.deq_scale[0]), want.deq0);
  EXPECT_EQ(Bits(plain.deq_scale[1]), want.deq1);
  EXPECT_EQ(plain.quant_bias, (std::vector<int32_t>{want.plain0, want.plain1}));

  const std::vector<float> bias = Rounded(want.dtype, {0.1F, -2.0F});
  const StaticFold biased = FoldStaticW8A8(codes, 2, 4, scales, input, bias, want.dtype,
                                           FoldRounding::kAsWritten, nullptr);
  EXPECT_EQ(biased.quant_bias, (std::vector<int32_t>{want.biased0, want.biased1}));
}

INSTANTIATE_TEST_SUITE_P(
    Facts, AppendixA1,
    testing::Values(Vector{DType::kBF16, 0x3C010000, 0x3BE80000, 0x3C910000, -44, 0x39120000,
                           0x39030000, -1320, 11044, -600, -4956},
                    Vector{DType::kF16, 0x3C010000, 0x3BE84000, 0x3C908000, -43, 0x3911A000,
                           0x39032000, -1290, 10793, -570, -5199},
                    Vector{DType::kF32, 0x3C010204, 0x3BE836D4, 0x3C909091, -43, 0x3911B3F9,
                           0x390321FA, -1290, 10793, -570, -5200}));

// facts/algorithms.md 11: bf16 rounds the quotient to 115712, exact arithmetic gives 115704.94.
TEST(FoldStaticW8A8, RoundsOnceWhenAsked) {
  const std::vector<int8_t> codes = {127, -84, 49, 32, -10, 20, -30, 127};
  const std::vector<float> scales = {0.000244140625F, 0.000310897827F};
  const QuantizationRange input = {0.0177001953F, -43.0F};
  const std::vector<float> bias = {0.5F, -0.25F};
  const StaticFold peer = FoldStaticW8A8(codes, 2, 4, scales, input, bias, DType::kBF16,
                                         FoldRounding::kAsWritten, nullptr);
  EXPECT_EQ(peer.quant_bias, (std::vector<int32_t>{121044, -40711}));
  const StaticFold once =
      FoldStaticW8A8(codes, 2, 4, scales, input, bias, DType::kF32, FoldRounding::kOnce, nullptr);
  EXPECT_EQ(once.quant_bias[0], 121037);
}

TEST(FoldStaticW8A8, CountsWhatDoesNotFit) {
  const std::vector<int8_t> codes = {1};
  const std::vector<float> scale = {0x1p-23F};
  const std::vector<float> bias = {1.0F};
  uint64_t saturated = 0;
  const StaticFold fold = FoldStaticW8A8(codes, 1, 1, scale, {0x1p-23F, 0}, bias, DType::kF32,
                                         FoldRounding::kOnce, &saturated);
  EXPECT_EQ(saturated, 1U);
  EXPECT_EQ(fold.quant_bias[0], INT32_MAX);
}

TEST(QuantizeByRange, ZeroRowHasTheSmallestScale) {
  const std::vector<float> row(5, 0.0F);
  std::vector<int8_t> codes(5, 1);
  EXPECT_EQ(QuantizeByRange(row, 8, true, DType::kBF16, codes).scale, 0x1p-23F);
  EXPECT_EQ(codes, std::vector<int8_t>(5, 0));
}

// The stored scale decides the offset (source document S001): 0.0176470596 is 0.0177001953 in bf16,
// and -1.5 / that is 84.7.
TEST(AsymmetricInt8Range, RoundsTheScaleToItsStoredDtypeFirst) {
  const QuantizationRange range = AsymmetricInt8Range(-1.5F, 3.0F, DType::kF32, DType::kBF16);
  EXPECT_EQ(Bits(range.scale), 0x3C910000U);
  EXPECT_EQ(range.offset, -43.0F);
}

TEST(AsymmetricInt8Range, IncludesZero) {
  const QuantizationRange above = AsymmetricInt8Range(1.0F, 3.0F, DType::kF32);
  EXPECT_EQ(above.offset, -128.0F);
  const QuantizationRange below = AsymmetricInt8Range(-3.0F, -1.0F, DType::kF32);
  EXPECT_EQ(below.offset, 127.0F);
}

}  // namespace
}  // namespace slim
