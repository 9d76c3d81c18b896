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

constexpr uint64_t kRows = 3;
constexpr float kUntouched = -7;

// Blocks of every width up to 70 whose rows, in and out, lie further apart.
template <class Check>
void ForBlocks(const Check& check) {
  for (uint64_t n = 1; n <= 70; ++n) {
    const uint64_t stride = n + 5;
    const uint64_t y_stride = n + 2;
    const std::vector<int32_t> sums = AnySums(kRows * stride, static_cast<uint32_t>(n));
    std::vector<float> y(kRows * y_stride, kUntouched);
    check(ScaledBlock{sums.data(), stride, kRows, n, y.data(), y_stride});
    for (uint64_t i = 0; i < kRows; ++i)
      ASSERT_EQ(y[i * y_stride + n], kUntouched) << "beyond row " << i << " of " << n;
  }
}

TEST(ScaleDynamicSums, RoundsAfterEveryOperation) {
  OnEveryIsa([] {
    ForBlocks([](const ScaledBlock& block) {
      const uint64_t n = block.columns;
      const std::vector<float> scale = NormalFloats(n, 1, 0.01F);
      const std::vector<float> correction = NormalFloats(n, 2);
      const std::vector<float> bias = NormalFloats(n, 3);
      const std::vector<float> token_scales = {0.37F, 0.0F, 12.5F};
      for (const bool corrected : {false, true}) {
        for (const bool biased : {false, true}) {
          ScaleDynamicSums(block,
                           {scale.data(), corrected ? correction.data() : nullptr,
                            biased ? bias.data() : nullptr},
                           token_scales.data());
          for (uint64_t i = 0; i < kRows; ++i) {
            for (uint64_t j = 0; j < n; ++j) {
              float wanted = static_cast<float>(block.sums[i * block.stride + j]) * scale[j];
              if (corrected) wanted = wanted + correction[j];
              wanted = wanted * token_scales[i];
              if (biased) wanted = wanted + bias[j];
              ASSERT_EQ(Bits(block.y[i * block.y_stride + j]), Bits(wanted)) << n << " " << j;
            }
          }
        }
      }
    });
  });
}

TEST(ScaleStaticSums, IsExactOutsideInt32) {
  OnEveryIsa([] {
    ForBlocks([](const ScaledBlock& block) {
      const uint64_t n = block.columns;
      const std::vector<float> deq_scale = NormalFloats(n, 4, 0.01F);
      for (const std::vector<int32_t>& quant_bias :
           {AnySums(n, static_cast<uint32_t>(n) + 100), std::vector<int32_t>(n)}) {
        ScaleStaticSums(block, quant_bias.data(), deq_scale.data());
        for (uint64_t i = 0; i < kRows; ++i) {
          for (uint64_t j = 0; j < n; ++j) {
            const int64_t sum = int64_t{block.sums[i * block.stride + j]} + int64_t{quant_bias[j]};
            const float wanted = static_cast<float>(sum) * deq_scale[j];
            ASSERT_EQ(Bits(block.y[i * block.y_stride + j]), Bits(wanted)) << n << " " << j;
          }
        }
      }
    });
  });
}

}  // namespace
}  // namespace slim
