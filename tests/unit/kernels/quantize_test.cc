#include "kernels/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "every_isa.h"
#include "kernels/convert.h"

namespace slim {
namespace {

using Codes = std::vector<int8_t>;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Codes Quantize(std::vector<float> values, float scale, float offset, DType compute, int low = -128,
               int high = 127) {
  RoundToDType(compute, values.data(), values.size());
  Codes codes(values.size());
  QuantizeRow(values.data(), values.size(), scale, offset, compute, low, high, codes.data());
  return codes;
}

float FromBits(uint32_t bits) { return std::bit_cast<float>(bits); }

// facts/formats.md A.1.
TEST(QuantizeRow, SymmetricRowsOfAppendixA1) {
  const std::vector<float> row0 = {0.5F, -1.0F, 0.25F, 0.0078125F};
  const std::vector<float> row1 = {0.3F, 0.7F, -0.123F, 0.9F};
  struct Case {
    DType dtype;
    uint32_t scale0;
    uint32_t scale1;
  };
  OnEveryIsa([&] {
    for (const Case& c :
         {Case{DType::kBF16, 0x3C010000, 0x3BE80000}, Case{DType::kF16, 0x3C010000, 0x3BE84000},
          Case{DType::kF32, 0x3C010204, 0x3BE836D4}}) {
      EXPECT_EQ(Quantize(row0, FromBits(c.scale0), 0, c.dtype), (Codes{64, -127, 32, 1}));
      EXPECT_EQ(Quantize(row1, FromBits(c.scale1), 0, c.dtype), (Codes{42, 99, -17, 127}));
    }
  });
}

// facts/algorithms.md 11.
TEST(QuantizeRow, AsymmetricVectors) {
  OnEveryIsa([] {
    EXPECT_EQ(
        Quantize({-1.5F, -0.01F, 0.0F, 0.5F, 2.999F, 3.2F}, FromBits(0x3C909091), -43, DType::kF32),
        (Codes{-128, -44, -43, -15, 127, 127}));
    EXPECT_EQ(Quantize({-1.5F, -0.01001F, 0.0F, 0.5F, 1.0F, 2.0F, 2.984375F}, FromBits(0x3C910000),
                       -44, DType::kBF16),
              (Codes{-128, -44, -44, -16, 12, 69, 125}));
    EXPECT_EQ(Quantize({.0310058594F, -.0205078125F, .0120239258F, .00769042969F, -.0300292969F,
                        .0301513672F, .0257568359F, -.0279541016F},
                       .000244140625F, 0, DType::kBF16),
              (Codes{127, -84, 49, 32, -123, 124, 106, -114}));
    EXPECT_EQ(
        Quantize({.70F, -.33F, .12F, .05F, -.61F, .29F, .18F, -.07F}, 0.1F, 0, DType::kF32, -8, 7),
        (Codes{7, -3, 1, 0, -6, 3, 2, -1}));
  });
}

TEST(QuantizeRow, TiesGoToEven) {
  OnEveryIsa([] {
    EXPECT_EQ(Quantize({0.5F, 1.5F, 2.5F, -0.5F, -1.5F, -2.5F}, 1, 0, DType::kF32),
              (Codes{0, 2, 2, 0, -2, -2}));
  });
}

TEST(QuantizeRow, NothingIsUndefined) {
  OnEveryIsa([] {
    EXPECT_EQ(Quantize({kNan, kInf, -kInf, 1e38F, -1e38F}, 1e-3F, 0, DType::kF32),
              (Codes{0, 127, -128, 127, -128}));
    EXPECT_EQ(Quantize({0.0F, 1.0F, -1.0F}, 0, 0, DType::kF32, -8, 7), (Codes{0, 7, -8}));
    EXPECT_EQ(Quantize({1.0F, 2.0F}, kNan, 0, DType::kBF16), (Codes{0, 0}));
    EXPECT_EQ(Quantize({1e9F, -1e9F}, 1, 1e9F, DType::kF16), (Codes{127, -128}));
  });
}

// The definition, one element at a time.
int8_t Reference(float value, float scale, float offset, DType compute) {
  float shifted = value / scale;
  RoundToDType(compute, &shifted, 1);
  shifted += offset;
  RoundToDType(compute, &shifted, 1);
  if (std::isnan(shifted)) return 0;
  return static_cast<int8_t>(std::clamp(std::nearbyint(shifted), -128.0F, 127.0F));
}

TEST(QuantizeRow, EveryLengthAndDtypeMatchesTheDefinition) {
  OnEveryIsa([] {
    for (const DType compute : {DType::kF32, DType::kBF16, DType::kF16}) {
      for (uint64_t count = 0; count <= 70; ++count) {
        std::vector<float> values = NormalFloats(count + 1, static_cast<uint32_t>(count), 2.0F);
        if (count % 3 == 0) values = AnyFloats(count + 1, static_cast<uint32_t>(count));
        Codes codes(count + 1, int8_t{99});
        QuantizeRow(&values[1], count, 0.02F, 5, compute, -128, 127, codes.data());
        for (uint64_t i = 0; i < count; ++i) {
          ASSERT_EQ(codes[i], Reference(values[i + 1], 0.02F, 5, compute)) << values[i + 1];
        }
        EXPECT_EQ(codes[count], 99);
      }
    }
  });
}

TEST(DequantizeRow, SubtractsThenMultiplies) {
  OnEveryIsa([] {
    for (uint64_t count = 0; count <= 70; ++count) {
      Codes codes(count);
      for (uint64_t i = 0; i < count; ++i) codes[i] = static_cast<int8_t>(i * 41);
      std::vector<float> values(count);
      DequantizeRow(codes.data(), count, 0.017F, -43, values.data());
      for (uint64_t i = 0; i < count; ++i) {
        EXPECT_EQ(values[i], (static_cast<float>(codes[i]) + 43.0F) * 0.017F);
      }
    }
  });
}

TEST(QuantizeToken, ScaleIsTheLargestOver127) {
  OnEveryIsa([] {
    const std::vector<float> values = {0.1F, -2.54F, 1.27F, 0.0F, 0.01F};
    Codes codes(5);
    const float scale = QuantizeToken(values.data(), 5, codes.data());
    EXPECT_EQ(scale, 2.54F / 127.0F);
    EXPECT_EQ(codes, (Codes{5, -127, 64, 0, 0}));
  });
}

// facts/consumers.md 7.1: an all-zero token has codes 0.
TEST(QuantizeToken, ZeroRow) {
  OnEveryIsa([] {
    const std::vector<float> values(33, 0.0F);
    Codes codes(33, int8_t{1});
    EXPECT_EQ(QuantizeToken(values.data(), 33, codes.data()), 0.0F);
    EXPECT_EQ(codes, Codes(33, int8_t{0}));
  });
}

TEST(QuantizeToken, NonFiniteRowsAreDefined) {
  OnEveryIsa([] {
    Codes codes(2);
    const std::vector<float> infinite = {kInf, 1.0F};
    EXPECT_EQ(QuantizeToken(infinite.data(), 2, codes.data()), kInf);
    EXPECT_EQ(codes, (Codes{0, 0}));
    const std::vector<float> nan = {kNan, 1.0F};
    EXPECT_TRUE(std::isnan(QuantizeToken(nan.data(), 2, codes.data())));
    EXPECT_EQ(codes, (Codes{0, 0}));
  });
}

// Rounding before or after the offset differs on ties: 0.5 + 1 is 1.5, which rounds to 2; rne(0.5)
// + 1 is 1.
TEST(QuantizeStatic, RoundsBeforeItAddsTheOffset) {
  OnEveryIsa([] {
    const std::vector<float> values = {0.5F, 1.5F, -0.5F, 500.0F, -500.0F, kNan, kInf, -kInf};
    Codes codes(values.size());
    QuantizeStatic(values.data(), values.size(), 1, 1, codes.data());
    EXPECT_EQ(codes, (Codes{1, 3, 1, 127, -128, 0, 127, -128}));
  });
}

TEST(QuantizeStatic, EveryLength) {
  OnEveryIsa([] {
    for (uint64_t count = 0; count <= 70; ++count) {
      const std::vector<float> values = NormalFloats(count, static_cast<uint32_t>(count), 3.0F);
      Codes codes(count);
      QuantizeStatic(values.data(), count, 0.03F, -17, codes.data());
      for (uint64_t i = 0; i < count; ++i) {
        const float expected = std::clamp(std::nearbyint(values[i] / 0.03F) - 17, -128.0F, 127.0F);
        ASSERT_EQ(codes[i], expected);
      }
    }
  });
}

TEST(QuantizeStatic, AbsurdOffsetsAreDefined) {
  OnEveryIsa([] {
    const std::vector<float> values = {1.0F, -1.0F};
    Codes codes(2);
    for (const float offset : {1e30F, kInf}) {
      QuantizeStatic(values.data(), 2, 1, offset, codes.data());
      EXPECT_EQ(codes, (Codes{127, 127}));
    }
    QuantizeStatic(values.data(), 2, 1, kNan, codes.data());
    EXPECT_EQ(codes, (Codes{1, -1}));
  });
}

}  // namespace
}  // namespace slim
