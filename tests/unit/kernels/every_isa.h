// Runs a body on every instruction set of this machine and leaves the choice as it was.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/isa.h"

namespace slim {

template <class Body>
void OnEveryIsa(const Body& body) {
  const std::string before(IsaName(CurrentIsa()));
  for (const Isa isa : SupportedIsas()) {
    SCOPED_TRACE(IsaName(isa));
    ASSERT_TRUE(SetIsa(IsaName(isa)).ok());
    ASSERT_EQ(CurrentIsa(), isa);
    body();
  }
  ASSERT_TRUE(SetIsa(before).ok());
}

// The bits, with every NaN as one: which NaN an operation returns differs between instructions.
inline uint32_t Bits(float value) {
  return std::isnan(value) ? 0x7FC00000U : std::bit_cast<uint32_t>(value);
}

inline std::vector<uint32_t> AllBits(const std::vector<float>& values) {
  std::vector<uint32_t> bits;
  for (const float value : values) bits.push_back(Bits(value));
  return bits;
}

// Calls `make` on every instruction set and expects the bits it returns to be those of the first.
template <class Make>
void ExpectSameBits(const Make& make) {
  std::vector<uint32_t> first;
  bool have_first = false;
  OnEveryIsa([&] {
    const std::vector<uint32_t> bits = AllBits(make());
    if (have_first) {
      EXPECT_EQ(bits, first);
    } else {
      first = bits;
      have_first = true;
    }
  });
}

inline std::vector<float> NormalFloats(uint64_t count, uint32_t seed, float deviation = 1.0F) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// Any bit pattern: zeros, subnormals, infinities and NaN included, more often than chance has them.
inline std::vector<float> AnyFloats(uint64_t count, uint32_t seed) {
  constexpr uint32_t kSpecial[] = {0x00000000, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000,
                                   0x00000001, 0x80000001, 0x007FFFFF, 0x00800000, 0x7F7FFFFF,
                                   0xFF7FFFFF, 0x477FEFFF, 0x477FF000, 0x33000000, 0x33000001,
                                   0x38800000, 0x387FF000, 0x3F800000, 0xBF800000, 0x7F7F8000};
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& value : values) {
    const uint32_t bits = random() % 4 == 0 ? kSpecial[random() % std::size(kSpecial)]
                                            : static_cast<uint32_t>(random());
    value = std::bit_cast<float>(bits);
  }
  return values;
}

}  // namespace slim
