// Int4, FP8 and MX forms against the vectors of facts formats.md, appendix A.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "dtype/scalar_convert.h"
#include "linear/fp8.h"
#include "linear/int4.h"
#include "linear/linear_record.h"
#include "linear/mx.h"

namespace slim {
namespace {

Tensor Codes(const Shape& shape, const std::vector<int>& values) {
  Tensor tensor(DType::kI8, shape);
  for (size_t i = 0; i < values.size(); ++i)
    tensor.as<int8_t>()[i] = static_cast<int8_t>(values[i]);
  return tensor;
}

std::vector<int> Bytes(const Tensor& tensor) {
  const auto bytes = tensor.as<int8_t>();
  return {bytes.begin(), bytes.end()};
}

TEST(Int4, PacksAsAppendixA2) {
  const std::vector<int> values = {-8, 7, 0, 3, 1, -1, 5, -4};
  const Tensor codes = Codes({2, 4}, values);
  const Tensor along_n = PackInt4(codes, Int4Packing::kAlongN).value();
  EXPECT_EQ(along_n.shape, (Shape{1, 4}));
  EXPECT_EQ(Bytes(along_n), (std::vector<int>{24, -9, 80, -61}));
  const Tensor along_k = PackInt4(codes, Int4Packing::kAlongK).value();
  EXPECT_EQ(along_k.shape, (Shape{2, 2}));
  EXPECT_EQ(Bytes(along_k), (std::vector<int>{0x78, 0x30, 0xF1 - 256, 0xC5 - 256}));
  for (const Int4Packing packing :
       {Int4Packing::kNone, Int4Packing::kAlongN, Int4Packing::kAlongK}) {
    const Tensor back = UnpackInt4(PackInt4(codes, packing).value(), packing);
    EXPECT_EQ(back.shape, codes.shape);
    EXPECT_EQ(Bytes(back), values);
  }
}

TEST(Int4, RefusesOddDimensions) {
  const Tensor codes = Codes({3, 3}, {0, 1, 2, 3, 4, 5, 6, 7, -8});
  for (const Int4Packing packing : {Int4Packing::kAlongN, Int4Packing::kAlongK}) {
    const auto packed = PackInt4(codes, packing);
    ASSERT_FALSE(packed.ok());
    EXPECT_EQ(packed.error().rule, "LIN-odd");
  }
}

TEST(Int4, ScaleBiasIsAppendixA2AndA3) {
  const Tensor codes = Codes({2, 4}, {-8, 7, 0, 3, 1, -1, 5, -4});
  const ScaleBiasForm up = ScaleBiasFormOf("model.layers.0.mlp.up_proj", 4, false).value();
  ASSERT_EQ(up.columns, 1U);
  float sum = 0;
  ScaleBiasRow(codes.as<int8_t>().first(4), 0.5F, up.factor, false, {&sum, 1});
  EXPECT_EQ(sum, 8.0F);
  ScaleBiasRow(codes.as<int8_t>().last(4), 0.25F, up.factor, false, {&sum, 1});
  EXPECT_EQ(sum, 2.0F);

  std::vector<int8_t> ramp;
  for (int i = 0; i < 32; ++i) ramp.push_back(static_cast<int8_t>(i % 16 - 8));
  const ScaleBiasForm down = ScaleBiasFormOf("x.o_proj", 32, true).value();
  ASSERT_EQ(down.columns, 16U);
  std::vector<float> sums(16);
  ScaleBiasRow(ramp, 0.5F, down.factor, true, sums);
  EXPECT_EQ(sums, (std::vector<float>{-60, -44, -28, -12, 4, 20, 36, 52, -60, -44, -28, -12, 4, 20,
                                      36, 52}));
  EXPECT_EQ(ScaleBiasFormOf("x.W_pack", 32, true)->columns, 32U);
  EXPECT_EQ(ScaleBiasFormOf("x.W_pack", 32, false)->columns, 1U);
  EXPECT_EQ(ScaleBiasFormOf("x.down_proj", 40, false).error().rule, "LIN-odd");
}

TEST(Fp8, EveryByteSurvivesAndRoundingIsHalfToEven) {
  for (int byte = 0; byte < 256; ++byte) {
    if ((byte & 0x7F) == 0x7F) continue;
    EXPECT_EQ(FloatToF8E4M3(F8E4M3ToFloat(static_cast<uint8_t>(byte))), byte);
  }
  EXPECT_EQ(FloatToF8E4M3(1.0625F), FloatToF8E4M3(1.0F));
  EXPECT_EQ(FloatToF8E4M3(1.1875F), FloatToF8E4M3(1.25F));
  EXPECT_EQ(FloatToF8E4M3(0x1p-10F), 0);
  EXPECT_EQ(FloatToF8E4M3(464.0F), 0x7E);
  EXPECT_EQ(FloatToF8E4M3(465.0F), 0x7F);
  EXPECT_EQ(FloatToF8E4M3(-1e30F), 0xFF);
}

TEST(Fp8, RowIsAppendixA5) {
  const std::vector<float> row = {0.5F, -1.0F, 0.25F, Bf16ToFloat(FloatToBf16(0.3F))};
  std::vector<uint8_t> bytes(4);
  const float scale = QuantizeRowFp8(row, DType::kBF16, bytes);
  EXPECT_EQ(std::bit_cast<uint32_t>(scale), 0x3B120000U);
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0x76, 0xFE, 0x6E, 0x70}));
  const std::vector<float> zeros(4);
  EXPECT_EQ(QuantizeRowFp8(zeros, DType::kF16, bytes), 0.0F);
  EXPECT_EQ(bytes, std::vector<uint8_t>(4));
}

uint8_t Exponent(float amax, MxElement element, DType compute) {
  const std::vector<float> block = {amax, 0.0F};
  std::vector<uint8_t> codes(2);
  uint8_t exponent = 0;
  QuantizeRowMx(block, element, compute, codes, {&exponent, 1});
  return exponent;
}

TEST(Mx, ExponentsAreAppendixA6) {
  struct Case {
    float amax;
    int fp8;
    int fp4;
  };
  for (const Case& test : {Case{0, 0, 105}, Case{0.99609375F, 118, 125}, Case{1, 119, 125},
                           Case{1.9921875F, 119, 126}, Case{254, 127, 133}, Case{255, 127, 133},
                           Case{256, 127, 133}, Case{448, 127, 134}, Case{1e-30F, 19, 105}}) {
    EXPECT_EQ(Exponent(test.amax, MxElement::kFp8, DType::kBF16), test.fp8) << test.amax;
    EXPECT_EQ(Exponent(test.amax, MxElement::kFp4, DType::kBF16), test.fp4) << test.amax;
  }
  EXPECT_EQ(Exponent(254, MxElement::kFp8, DType::kF32), 126);
}

TEST(Mx, ElementsAreAppendixA7) {
  // The first element sets the exponent to 0.
  const std::vector<float> fp4 = {4, 0.2F, 0.25F, 0.75F, 1.25F, 1.75F, 2.5F, 3.5F, 5, -0.2F};
  std::vector<uint8_t> codes(fp4.size());
  uint8_t exponent = 0;
  QuantizeRowMx(fp4, MxElement::kFp4, DType::kF32, codes, {&exponent, 1});
  EXPECT_EQ(exponent, 127);
  std::vector<float> values;
  for (const uint8_t code : codes) values.push_back(MxElementToFloat(code, MxElement::kFp4));
  EXPECT_EQ(values, (std::vector<float>{4, 0, 0.5F, 1, 1.5F, 2, 3, 4, 6, 0}));
  EXPECT_EQ(codes.back(), 8);

  const std::vector<float> fp8 = {464, 0x1p-10F, 1.0625F, 1.1875F, 17, -1.0625F};
  codes.resize(fp8.size());
  QuantizeRowMx(fp8, MxElement::kFp8, DType::kF32, codes, {&exponent, 1});
  EXPECT_EQ(exponent, 127);
  values.clear();
  for (const uint8_t code : codes) values.push_back(MxElementToFloat(code, MxElement::kFp8));
  EXPECT_EQ(values, (std::vector<float>{448, 0x1p-9F, 1.125F, 1.25F, 18, -1.125F}));
}

TEST(Mx, ActivationsRoundToEven) {
  std::vector<float> row = {448, 1.0625F, 17, 0};
  RoundRowToMx(row, MxElement::kFp8);
  EXPECT_EQ(row, (std::vector<float>{448, 1.0F, 16, 0}));
  row = {4, 0.25F, 2.5F, -5};
  RoundRowToMx(row, MxElement::kFp4);
  EXPECT_EQ(row, (std::vector<float>{4, 0, 2, -4}));
}

TEST(Mx, PacksAsAppendixA4) {
  Tensor codes(DType::kU8, {1, 6});
  const std::vector<uint8_t> values = {3, 15, 0, 1, 8, 4};
  std::copy(values.begin(), values.end(), codes.as<uint8_t>().begin());
  const Tensor packed = PackFp4(codes).value();
  EXPECT_EQ(Bytes(packed), (std::vector<int>{0xF3 - 256, 0x10, 0x48}));
  EXPECT_EQ(Bytes(UnpackFp4(packed)), Bytes(codes));
}

TEST(LinearRecord, DequantizesTwoLevelsAndGroups) {
  LinearRecord record;
  record.name = "x";
  record.scheme = Scheme::kW4A8Dynamic;
  record[Role::kWeight] = Codes({2, 4}, {1, 2, 3, 4, -8, 7, 0, 3});
  record[Role::kWeightScale] = Tensor::FromFloats({2, 1}, std::vector<float>{0.5F, 2});
  record[Role::kWeightScaleSecond] = Tensor::FromFloats({2, 2}, std::vector<float>{1, 2, 3, 4});
  record[Role::kWeightOffsetSecond] = Tensor::FromFloats({2, 2}, std::vector<float>{0, 1, 0, 0});
  ASSERT_TRUE(CheckRecord(record).ok());
  std::vector<float> row(4);
  DequantizeWeightRow(record, 0, row);
  EXPECT_EQ(row, (std::vector<float>{0.5F, 1, 2, 3}));
  DequantizeWeightRow(record, 1, row);
  EXPECT_EQ(row, (std::vector<float>{-48, 42, 0, 24}));
  record[Role::kScaleBias] = Tensor::FromFloats({1, 1}, std::vector<float>{0});
  EXPECT_EQ(CheckRecord(record).error().rule, "LIN-shape");
}

TEST(LinearRecord, StoredAndLogicalFormsAgree) {
  for (const auto& [scheme, columns, shape] :
       {std::tuple{Scheme::kW4A8Dynamic, uint64_t{1}, Shape{1, 4}},
        std::tuple{Scheme::kW4A16, uint64_t{1}, Shape{2, 2}},
        std::tuple{Scheme::kW4A16, uint64_t{2}, Shape{1, 4}},
        std::tuple{Scheme::kW4A4Dynamic, uint64_t{1}, Shape{2, 4}}}) {
    LinearRecord record;
    record.name = "x";
    record.scheme = scheme;
    record[Role::kWeight] = Codes({2, 4}, {1, 2, 3, 4, -8, 7, 0, 3});
    record[Role::kWeightScale] =
        Tensor::FromFloats({2, columns}, std::vector<float>(2 * columns, 1.0F));
    ASSERT_TRUE(PackWeight(record, true).ok());
    EXPECT_EQ(record[Role::kWeight].shape, shape);
    ASSERT_TRUE(UnpackWeight(record, true).ok());
    EXPECT_EQ(Bytes(record[Role::kWeight]), (std::vector<int>{1, 2, 3, 4, -8, 7, 0, 3}));
    ASSERT_TRUE(PackWeight(record, false).ok());
    EXPECT_EQ(record[Role::kWeight].shape, (Shape{2, 4}));
  }
}

}  // namespace
}  // namespace slim
