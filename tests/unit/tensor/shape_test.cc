#include "tensor/shape.h"

#include <gtest/gtest.h>

#include "tensor/tensor.h"

namespace slim {
namespace {

TEST(ByteSize, CountsBits) {
  EXPECT_EQ(ByteSize(DType::kF32, {2, 3}).value(), 24U);
  EXPECT_EQ(ByteSize(DType::kF32, {}).value(), 4U);
  EXPECT_EQ(ByteSize(DType::kF4, {4}).value(), 2U);
  EXPECT_EQ(ByteSize(DType::kF32, {2, 0}).value(), 0U);
}

TEST(ByteSize, RefusesOverflowEvenBeforeAZero) {
  EXPECT_EQ(ByteSize(DType::kF32, {0, UINT64_MAX, 4}).value(), 0U);
  EXPECT_EQ(ByteSize(DType::kF32, {UINT64_MAX, 4, 0}).error().rule, "ST-size-overflow");
  EXPECT_EQ(ByteSize(DType::kF64, {1ULL << 62}).error().rule, "ST-size-overflow");
}

TEST(ByteSize, RefusesPartialBytes) {
  EXPECT_EQ(ByteSize(DType::kF4, {3}).error().rule, "ST-partial-byte");
  EXPECT_EQ(ByteSize(DType::kF6E2M3, {1}).error().rule, "ST-partial-byte");
}

TEST(Tensor, NothingHasNoElements) { EXPECT_EQ(Tensor().elements(), 0U); }

TEST(Tensor, ElementsAsDoubles) {
  const Tensor tensor = Tensor::FromFloats({2}, std::vector<float>{1.5F, -2.0F});
  EXPECT_EQ(ElementAsDouble(tensor.view(), 1), -2.0);
  EXPECT_EQ(tensor.elements(), 2U);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data.data()) % 64, 0U);
}

}  // namespace
}  // namespace slim
