#include "kernels/convert.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "dtype/scalar_convert.h"
#include "every_isa.h"

namespace slim {
namespace {

// Every 16-bit pattern, from an odd address, against the scalar definition.
void CheckAllHalves(DType dtype, float (*scalar)(uint16_t)) {
  constexpr uint32_t kCount = 65536;
  std::vector<std::byte> bytes(2 * kCount + 1);
  for (uint32_t i = 0; i < kCount; ++i) {
    const auto half = static_cast<uint16_t>(i);
    std::memcpy(&bytes[1 + 2 * i], &half, 2);
  }
  std::vector<float> values(kCount);
  ToFloat(dtype, &bytes[1], values.data(), kCount);
  for (uint32_t i = 0; i < kCount; ++i) {
    const float expected = scalar(static_cast<uint16_t>(i));
    ASSERT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(expected)) << i;
  }
}

TEST(Convert, EveryHalfToFloat) {
  OnEveryIsa([] {
    CheckAllHalves(DType::kBF16, Bf16ToFloat);
    CheckAllHalves(DType::kF16, F16ToFloat);
  });
}

TEST(Convert, EveryByteOfFloat8ToFloat) {
  std::vector<std::byte> bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<std::byte>(i));
  std::vector<float> values(256);
  ToFloat(DType::kF8E4M3, bytes.data(), values.data(), 256);
  for (uint32_t i = 0; i < 256; ++i) {
    EXPECT_EQ(Bits(values[i]), Bits(F8E4M3ToFloat(static_cast<uint8_t>(i))));
  }
  EXPECT_EQ(values[0x7E], 448.0F);
}

void CheckFromFloat(DType dtype, uint16_t (*scalar)(float), const std::vector<float>& values) {
  std::vector<std::byte> bytes(2 * values.size() + 1);
  FromFloat(dtype, values.data(), &bytes[1], values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t half = 0;
    std::memcpy(&half, &bytes[1 + 2 * i], 2);
    ASSERT_EQ(half, scalar(values[i])) << std::bit_cast<uint32_t>(values[i]);
  }
}

// Around every value of the narrow type: itself, its neighbours and the middles between, where ties
// are.
std::vector<float> TieFloats(float (*scalar)(uint16_t)) {
  std::vector<float> values;
  for (uint32_t half = 0; half < 65536; ++half) {
    const auto bits = std::bit_cast<uint32_t>(scalar(static_cast<uint16_t>(half)));
    for (const uint32_t step : {0U, 1U, 0xFFFU, 0x1000U, 0x1001U, 0x7FFFU, 0x8000U, 0x8001U}) {
      values.push_back(std::bit_cast<float>(bits + step));
    }
  }
  return values;
}

TEST(Convert, FloatToHalves) {
  const std::vector<float> bf16_ties = TieFloats(Bf16ToFloat);
  const std::vector<float> f16_ties = TieFloats(F16ToFloat);
  OnEveryIsa([&] {
    CheckFromFloat(DType::kBF16, FloatToBf16, bf16_ties);
    CheckFromFloat(DType::kF16, FloatToF16, f16_ties);
    CheckFromFloat(DType::kBF16, FloatToBf16, AnyFloats(10000, 1));
    CheckFromFloat(DType::kF16, FloatToF16, AnyFloats(10000, 2));
  });
}

TEST(Convert, TailsOfEveryLength) {
  OnEveryIsa([] {
    for (uint64_t count = 0; count <= 70; ++count) {
      const std::vector<float> values = AnyFloats(count, static_cast<uint32_t>(count));
      CheckFromFloat(DType::kBF16, FloatToBf16, values);
      CheckFromFloat(DType::kF16, FloatToF16, values);
      for (const DType dtype : {DType::kBF16, DType::kF16, DType::kF32}) {
        const uint64_t width = DTypeBits(dtype) / 8;
        std::vector<std::byte> bytes(count * width + 1);
        std::vector<float> through(count);
        FromFloat(dtype, values.data(), &bytes[1], count);
        ToFloat(dtype, &bytes[1], through.data(), count);
        std::vector<float> rounded = values;
        RoundToDType(dtype, rounded.data(), count);
        EXPECT_EQ(AllBits(rounded), AllBits(through));
      }
    }
  });
}

TEST(Convert, KnowsWhatItCanConvert) {
  EXPECT_TRUE(CanConvertToFloat(DType::kF8E4M3));
  EXPECT_FALSE(CanConvertFromFloat(DType::kF8E4M3));
  EXPECT_TRUE(CanConvertFromFloat(DType::kF16));
  EXPECT_FALSE(CanConvertToFloat(DType::kI8));
}

}  // namespace
}  // namespace slim
