#include "convert/dtype_change.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <vector>

namespace slim {
namespace {

Tensor Floats(const std::vector<float>& values) {
  return Tensor::FromFloats({values.size()}, values);
}

RoundingLoss Measure(const std::vector<float>& values, DType to) {
  const Tensor tensor = Floats(values);
  return ChangeDType(tensor.view(), to, {}).value();
}

TEST(DTypeChange, ExactWhereEveryValueFits) {
  EXPECT_TRUE(Measure({0.0F, -0.0F, 1.0F, 1.5F, -3.0F, 0x1p-14F, 65504.0F}, DType::kF16).exact());
  EXPECT_TRUE(Measure({1.0F, 0x1.FEp127F, 0x1p-126F, -0.0F}, DType::kBF16).exact());
  EXPECT_TRUE(Measure({std::nanf(""), INFINITY}, DType::kF16).exact());
}

TEST(DTypeChange, MeasuresTheWorstRelativeError) {
  // 1 + 2^-9 lies between the bf16 neighbours 1 and 1 + 2^-7: it becomes 1.
  const RoundingLoss loss = Measure({1.0F, 1.0F + 0x1p-9F, 2.0F}, DType::kBF16);
  EXPECT_EQ(loss.changed, 1U);
  EXPECT_DOUBLE_EQ(loss.worst_relative_error, 0x1p-9 / (1 + 0x1p-9));
}

TEST(DTypeChange, CountsWhatOverflowsAndWhatVanishes) {
  const RoundingLoss loss = Measure({70000.0F, -1e9F, 1e-9F, 1.0F}, DType::kF16);
  EXPECT_EQ(loss.overflowed, 2U);
  EXPECT_EQ(loss.to_zero, 1U);
  EXPECT_EQ(loss.changed, 3U);
}

TEST(DTypeChange, WritesBeyondOneChunk) {
  std::vector<float> values(10'000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 256);
  const Tensor tensor = Floats(values);
  Tensor out(DType::kBF16, {values.size()});
  ASSERT_TRUE(ChangeDType(tensor.view(), DType::kBF16, out.data.bytes()).value().exact());
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(out.as<uint16_t>()[i], std::bit_cast<uint32_t>(values[i]) >> 16);
}

TEST(DTypeChange, RefusesOtherDTypes) {
  const Tensor tensor(DType::kI8, {4});
  const auto changed = ChangeDType(tensor.view(), DType::kBF16, {});
  ASSERT_FALSE(changed.ok());
  EXPECT_EQ(changed.error().rule, "CV-dtype");
}

// 0x3A83126F is float32 0.001: the I64 of the goldens is these bits, sign-extended
// (facts: formats.md 6.4).
TEST(DeqScale, BitsAndValuesAreTheSameThing) {
  const std::array<float, 3> values = {0.001F, 1.0F, 0x1p-130F};
  const Tensor floats = Floats({values.begin(), values.end()});
  Tensor bits(DType::kI64, {3});
  ASSERT_TRUE(ChangeDeqScale(floats.view(), DType::kI64, bits.data.bytes()).ok());
  EXPECT_EQ(bits.as<int64_t>()[0], 0x3A83126F);
  Tensor back(DType::kF32, {3});
  ASSERT_TRUE(ChangeDeqScale(bits.view(), DType::kF32, back.data.bytes()).ok());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(back.as<float>()[i], values[i]);
}

TEST(DeqScale, RefusesWhatIsNoFloatBits) {
  Tensor bits(DType::kI64, {2});
  bits.as<int64_t>()[0] = 0x3A83126F;
  bits.as<int64_t>()[1] = 0x1'3A83126F;
  Tensor out(DType::kF32, {2});
  const auto status = ChangeDeqScale(bits.view(), DType::kF32, out.data.bytes());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().rule, "CV-deq-bits");
}

}  // namespace
}  // namespace slim
