#include "kernels/exp_rows.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "every_isa.h"
#include "kernels/math.h"

namespace slim {
namespace {

void ExpectBitsOfExpD(const std::vector<float>& x, double subtrahend) {
  std::vector<double> y(x.size());
  ExpDifferences(x.data(), x.size(), subtrahend, y.data());
  for (size_t i = 0; i < x.size(); ++i) {
    const double wanted = ExpD(static_cast<double>(x[i]) - subtrahend);
    ASSERT_EQ(std::bit_cast<uint64_t>(y[i]), std::bit_cast<uint64_t>(wanted)) << x[i];
  }
}

TEST(ExpDifferences, HaveTheBitsOfExpD) {
  OnEveryIsa([] {
    for (uint64_t count = 0; count <= 20; ++count) ExpectBitsOfExpD(NormalFloats(count, 1), 0.5);
    ExpectBitsOfExpD(NormalFloats(5000, 2, 300.0F), 0.1);
    std::vector<float> range;
    for (float x = -760.0F; x < 715.0F; x += 0.173F) range.push_back(x);
    ExpectBitsOfExpD(range, 0.0);
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    ExpectBitsOfExpD({0.0F, -0.0F, kInfinity, -kInfinity, 709.78F, 709.79F, -745.13F, -745.2F,
                      -745.3F, 3e38F, -3e38F, 1e-40F, 709.8F, 1.0F, -1.0F, 88.0F},
                     0.0);
  });
}

TEST(LogSumExp, IsTheSumByRisingIndex) {
  const std::vector<float> x = NormalFloats(1337, 3, 5.0F);
  double largest = x[0];
  for (const float value : x) largest = std::max(largest, static_cast<double>(value));
  double sum = 0;
  for (const float value : x) sum += ExpD(static_cast<double>(value) - largest);
  OnEveryIsa([&] { EXPECT_EQ(LogSumExp(x.data(), x.size()), LogD(sum) + largest); });
}

}  // namespace
}  // namespace slim
