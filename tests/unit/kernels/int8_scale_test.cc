#include "kernels/int8_scale.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "every_isa.h"

namespace slim {
namespace {

constexpr int32_t kLargest = std::numeric_limits<int32_t>::max();
constexpr int32_t kSmallest = std::numeric_limits<int32_t>::min();

std::vector<int32_t> AnySums(uint64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> sums(count);
  for (int32_t& sum : sums) {
    sum = static_cast<int32_t>(random());
    if (random() % 8 == 0) sum = random() % 2 == 0 ? kLargest : kSmallest;
  }
  return sums;
}

TEST(ScaleDynamicSums, RoundsAfterEveryOperation) {
  OnEveryIsa([] {
    for (uint64_t n = 1; n <= 70; ++n) {
      const std::vector<int32_t> sums = AnySums(n, static_cast<uint32_t>(n));
      const std::vector<float> scale = NormalFloats(n, 1, 0.01F);
      const std::vector<float> correction = NormalFloats(n, 2);
      const std::vector<float> bias = NormalFloats(n, 3);
      for (const bool corrected : {false, true}) {
        for (const bool biased : {false, true}) {
          std::vector<float> y(n);
          ScaleDynamicSums(sums.data(), n,
                           {scale.data(), corrected ? correction.data() : nullptr,
                            biased ? bias.data() : nullptr},
                           0.37F, y.data());
          for (uint64_t j = 0; j < n; ++j) {
            float wanted = static_cast<float>(sums[j]) * scale[j];
            if (corrected) wanted = wanted + correction[j];
            wanted = wanted * 0.37F;
            if (biased) wanted = wanted + bias[j];
            ASSERT_EQ(Bits(y[j]), Bits(wanted)) << n << " " << j;
          }
        }
      }
    }
  });
}

TEST(ScaleStaticSums, IsExactOutsideInt32) {
  OnEveryIsa([] {
    for (uint64_t n = 1; n <= 70; ++n) {
      const std::vector<int32_t> sums = AnySums(n, static_cast<uint32_t>(n));
      const std::vector<int32_t> quant_bias = AnySums(n, static_cast<uint32_t>(n) + 100);
      const std::vector<float> deq_scale = NormalFloats(n, 4, 0.01F);
      std::vector<float> y(n);
      ScaleStaticSums(sums.data(), n, quant_bias.data(), deq_scale.data(), y.data());
      for (uint64_t j = 0; j < n; ++j) {
        const float wanted =
            static_cast<float>(int64_t{sums[j]} + int64_t{quant_bias[j]}) * deq_scale[j];
        ASSERT_EQ(Bits(y[j]), Bits(wanted)) << n << " " << j;
      }
    }
  });
}

}  // namespace
}  // namespace slim
