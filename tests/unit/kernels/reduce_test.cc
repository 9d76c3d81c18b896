#include "kernels/reduce.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "every_isa.h"

namespace slim {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(Reduce, RangesOfEveryLengthFromUnalignedMemory) {
  OnEveryIsa([] {
    for (uint64_t count = 1; count <= 70; ++count) {
      const std::vector<float> storage = NormalFloats(count + 1, static_cast<uint32_t>(count));
      const float* const values = &storage[1];
      const auto [low, high] = std::minmax_element(values, values + count);
      const MinMax range = FindMinMax(values, count);
      EXPECT_EQ(range.min, *low);
      EXPECT_EQ(range.max, *high);
      EXPECT_EQ(AbsMax(values, count), std::max(std::fabs(*low), std::fabs(*high)));
    }
  });
}

TEST(Reduce, ExtremesAreFoundWhereverTheyStand) {
  OnEveryIsa([] {
    for (uint64_t at = 0; at < 70; ++at) {
      std::vector<float> values(70, 1.0F);
      values[at] = -kInf;
      EXPECT_EQ(FindMinMax(values.data(), 70).min, -kInf);
      EXPECT_EQ(AbsMax(values.data(), 70), kInf);
      EXPECT_FALSE(AllFinite(values.data(), 70));
      values[at] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_FALSE(AllFinite(values.data(), 70));
      values[at] = std::numeric_limits<float>::max();
      EXPECT_TRUE(AllFinite(values.data(), 70));
      EXPECT_EQ(FindMinMax(values.data(), 70).max, std::numeric_limits<float>::max());
    }
  });
}

TEST(Reduce, ZeroesHaveOneSign) {
  OnEveryIsa([] {
    const std::vector<float> values = {-0.0F, 0.0F, -0.0F, 0.0F, -0.0F};
    const MinMax range = FindMinMax(values.data(), values.size());
    EXPECT_EQ(std::bit_cast<uint32_t>(range.min), 0U);
    EXPECT_EQ(std::bit_cast<uint32_t>(range.max), 0U);
  });
}

TEST(Reduce, EmptyArrays) {
  EXPECT_EQ(AbsMax(nullptr, 0), 0.0F);
  EXPECT_TRUE(AllFinite(nullptr, 0));
  EXPECT_EQ(SumInt8(nullptr, 0), 0);
}

TEST(Reduce, ColumnsRunOverAllRows) {
  OnEveryIsa([] {
    for (const uint64_t columns : {1U, 5U, 16U, 33U, 1030U}) {
      const uint64_t rows = 7;
      const std::vector<float> values = NormalFloats(rows * columns, 3);
      std::vector<float> min(columns, 0.5F);
      std::vector<float> max(columns, 0.5F);
      std::vector<float> absmax(columns, 0.5F);
      UpdateColumnMinMax(values.data(), rows, columns, min.data(), max.data());
      UpdateColumnAbsMax(values.data(), rows, columns, absmax.data());
      for (uint64_t c = 0; c < columns; ++c) {
        float low = 0.5F;
        float high = 0.5F;
        for (uint64_t r = 0; r < rows; ++r) {
          low = std::min(low, values[r * columns + c]);
          high = std::max(high, values[r * columns + c]);
        }
        ASSERT_EQ(min[c], low);
        ASSERT_EQ(max[c], high);
        ASSERT_EQ(absmax[c], std::max(std::fabs(low), std::fabs(high)));
      }
    }
  });
}

TEST(Reduce, SumsOfCodes) {
  OnEveryIsa([] {
    for (uint64_t count = 0; count <= 70; ++count) {
      std::vector<int8_t> codes(count);
      for (uint64_t i = 0; i < count; ++i) codes[i] = static_cast<int8_t>(i * 37 + 11);
      EXPECT_EQ(SumInt8(codes.data(), count), std::accumulate(codes.begin(), codes.end(), 0));
    }
    const std::vector<int8_t> lowest(uint64_t{1} << 23, int8_t{-128});
    EXPECT_EQ(SumInt8(lowest.data(), lowest.size()), -(1 << 30));
  });
}

}  // namespace
}  // namespace slim
