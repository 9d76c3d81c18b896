#include "kernels/row_pair.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "every_isa.h"

namespace slim {
namespace {

constexpr uint64_t kLengths[] = {0, 1, 7, 8, 9, 16, 31, 64, 511, 512, 513, 1500};

TEST(RowPair, SumsAreThoseOfASimpleLoop) {
  OnEveryIsa([] {
    for (const uint64_t n : kLengths) {
      const std::vector<float> a = NormalFloats(n, 1, 5.0F);
      const std::vector<float> b = NormalFloats(n, 2, 5.0F);
      RowPairSums sums;
      RowPairExponentials exponentials;
      for (uint64_t i = 0; i < n; ++i) {
        const double x = a[i];
        const double y = b[i];
        sums.product += x * y;
        sums.first_square += x * x;
        sums.second_square += y * y;
        sums.squared_error += (x - y) * (x - y);
        exponentials.first += std::exp(x - 20);
        exponentials.second += std::exp(y - 25);
        exponentials.weighted += std::exp(x - 20) * ((x - 20) - (y - 25));
      }
      const RowPairSums found = SumRowPair(a.data(), b.data(), n);
      const double size = sums.first_square + sums.second_square;
      EXPECT_NEAR(found.product, sums.product, 1e-14 * size);
      EXPECT_NEAR(found.first_square, sums.first_square, 1e-14 * size);
      EXPECT_NEAR(found.second_square, sums.second_square, 1e-14 * size);
      EXPECT_NEAR(found.squared_error, sums.squared_error, 1e-14 * size);
      const RowPairExponentials e = SumExponentials(a.data(), 20, b.data(), 25, n);
      EXPECT_NEAR(e.first, exponentials.first, 1e-14 * exponentials.first);
      EXPECT_NEAR(e.second, exponentials.second, 1e-14 * exponentials.second);
      EXPECT_NEAR(e.weighted, exponentials.weighted, 1e-13 * 40 * exponentials.first);
    }
  });
}

TEST(RowPair, SameBitsOnEveryInstructionSet) {
  for (const uint64_t n : kLengths) {
    const std::vector<float> a = NormalFloats(n, 3, 30.0F);
    const std::vector<float> b = NormalFloats(n, 4, 30.0F);
    std::vector<uint64_t> first;
    OnEveryIsa([&] {
      const RowPairSums s = SumRowPair(a.data(), b.data(), n);
      const RowPairExponentials e = SumExponentials(a.data(), 90, b.data(), 95, n);
      std::vector<uint64_t> bits;
      for (const double value : {s.product, s.first_square, s.second_square, s.squared_error,
                                 e.first, e.second, e.weighted})
        bits.push_back(std::bit_cast<uint64_t>(value));
      if (first.empty()) first = bits;
      EXPECT_EQ(bits, first) << n;
    });
  }
}

TEST(CountAbove, CountsWhatIsAboveAlone) {
  OnEveryIsa([] {
    for (uint64_t n = 0; n <= 40; ++n) {
      std::vector<float> x(n);
      for (uint64_t i = 0; i < n; ++i) x[i] = static_cast<float>(i % 5);
      uint64_t wanted = 0;
      for (const float value : x) wanted += value > 2 ? 1 : 0;
      EXPECT_EQ(CountAbove(x.data(), n, 2.0F), wanted) << n;
    }
  });
}

}  // namespace
}  // namespace slim
