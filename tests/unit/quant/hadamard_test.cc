#include "quant/hadamard.h"

#include <gtest/gtest.h>

#include <cmath>

namespace slim {
namespace {

// facts/algorithms.md 4.1: the low bits of mt19937(1234).
TEST(Hadamard, SignsAreTheFacts) {
  const HadamardRotation rotation = HadamardRotation::Create(16).value();
  const std::vector<float> matrix = rotation.Matrix();
  constexpr int kBits[] = {1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 1};
  for (size_t i = 0; i < std::size(kBits); ++i)
    EXPECT_EQ(matrix[i * 16], kBits[i] == 1 ? 0.25F : -0.25F) << i;
}

// Powers of two, both constructions of Paley, and blocks.
TEST(Hadamard, IsOrthogonalWithEqualEntries) {
  struct Case {
    uint64_t size;
    uint64_t block;
    uint64_t entries;  // that are not zero in a row
  };
  for (const Case& test : {Case{2, 0, 2}, Case{64, 0, 64}, Case{12, 0, 12}, Case{96, 0, 96},
                           Case{28, 0, 28}, Case{36, 0, 36}, Case{160, 0, 160}, Case{96, 32, 32}}) {
    const auto rotation = HadamardRotation::Create(test.size, test.block);
    ASSERT_TRUE(rotation.ok()) << test.size;
    const std::vector<float> matrix = rotation->Matrix();
    const float entry = 1.0F / std::sqrt(static_cast<float>(test.entries));
    for (uint64_t i = 0; i < test.size; ++i) {
      uint64_t entries = 0;
      for (uint64_t j = 0; j < test.size; ++j) {
        const float value = std::fabs(matrix[i * test.size + j]);
        if (value == 0) continue;
        EXPECT_NEAR(value, entry, 1e-6F);
        ++entries;
      }
      EXPECT_EQ(entries, test.entries);
      for (uint64_t other = 0; other <= i; ++other) {
        double dot = 0;
        for (uint64_t j = 0; j < test.size; ++j)
          dot += static_cast<double>(matrix[i * test.size + j]) *
                 static_cast<double>(matrix[other * test.size + j]);
        ASSERT_NEAR(dot, other == i ? 1.0 : 0.0, 1e-5) << test.size << " " << i << " " << other;
      }
    }
  }
}

TEST(Hadamard, RefusesOrdersWithoutAConstruction) {
  EXPECT_FALSE(HadamardRotation::Create(96, 36).ok());  // does not divide
  EXPECT_FALSE(HadamardRotation::Create(7).ok());
}

}  // namespace
}  // namespace slim
