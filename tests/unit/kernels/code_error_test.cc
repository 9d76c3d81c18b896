#include "kernels/code_error.h"

#include <gtest/gtest.h>

#include <vector>

#include "every_isa.h"
#include "kernels/quantize.h"

namespace slim {
namespace {

struct Wide {
  double error = 0;
  double product = 0;
  double square = 0;
};

Wide InDouble(const std::vector<float>& values, const std::vector<float>& weights, float scale,
              float offset, int low, int high) {
  std::vector<int8_t> codes(values.size());
  QuantizeRow(values.data(), values.size(), scale, offset, DType::kF32, low, high, codes.data());
  Wide sums;
  for (size_t i = 0; i < values.size(); ++i) {
    const double weight = weights.empty() ? 1.0 : static_cast<double>(weights[i]);
    const double code = codes[i] - static_cast<double>(offset);
    const double lost = static_cast<double>(values[i]) - code * static_cast<double>(scale);
    sums.error += weight * lost * lost;
    sums.product += weight * code * lost;
    sums.square += weight * code * code;
  }
  return sums;
}

void ExpectSums(const std::vector<float>& values, const std::vector<float>& weights, float scale,
                float offset, int low, int high) {
  const CodeError found = MeasureCodes(values.data(), weights.empty() ? nullptr : weights.data(),
                                       values.size(), scale, offset, low, high);
  const Wide wanted = InDouble(values, weights, scale, offset, low, high);
  EXPECT_NEAR(found.error, wanted.error, 1e-4 * wanted.error + 1e-9);
  EXPECT_NEAR(found.square, wanted.square, 1e-5 * wanted.square);
  // Its terms have both signs.
  EXPECT_NEAR(found.product, wanted.product, 1e-4 * std::sqrt(wanted.error * wanted.square) + 1e-9);
}

TEST(CodeErrors, AreThoseOfTheCodesAtEveryLength) {
  OnEveryIsa([] {
    for (uint64_t count = 0; count <= 70; ++count) {
      const std::vector<float> values = NormalFloats(count, static_cast<uint32_t>(count) + 1);
      std::vector<float> weights = NormalFloats(count, 7);
      for (float& weight : weights) weight *= weight;
      ExpectSums(values, {}, 0.021F, 0.0F, -128, 127);
      ExpectSums(values, weights, 0.21F, 3.0F, -8, 7);
    }
  });
}

TEST(CodeErrors, LongRowsKeepTheirPrecision) {
  ExpectSums(NormalFloats(29568, 5), {}, 0.031F, 0.0F, -128, 127);
}

TEST(CodeErrors, AreTheSameBitsEverywhere) {
  const std::vector<float> values = NormalFloats(1003, 11);
  const std::vector<float> weights(values.size(), 0.7F);
  ExpectSameBits([&] {
    const CodeError even = MeasureCodes(values.data(), nullptr, 1003, 0.4F, 1.0F, -8, 7);
    const CodeError weighed =
        MeasureCodes(values.data(), weights.data(), 1003, 0.03F, 0, -128, 127);
    return std::vector<float>{even.error,    even.product,    even.square,
                              weighed.error, weighed.product, weighed.square};
  });
}

// A row that the grid holds exactly loses nothing, and no other scale fits it better.
TEST(CodeErrors, OfAnExactRowAreNone) {
  std::vector<float> values;
  for (int code = -127; code <= 127; ++code) values.push_back(static_cast<float>(code) * 0.25F);
  const CodeError exact = MeasureCodes(values.data(), nullptr, values.size(), 0.25F, 0, -128, 127);
  EXPECT_EQ(exact.error, 0);
  EXPECT_EQ(exact.product, 0);
  EXPECT_GT(exact.square, 0);
}

}  // namespace
}  // namespace slim
