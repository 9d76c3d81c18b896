#include "kernels/rounding_error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "every_isa.h"

namespace slim {
namespace {

RoundingGlance Glance(const std::vector<float>& before, const std::vector<float>& after,
                      float bound) {
  return GlanceAtRounding(before.data(), after.data(), before.size(), bound);
}

TEST(RoundingError, CountsWhatChangedWhateverItsPlace) {
  OnEveryIsa([] {
    for (size_t count : {1U, 7U, 16U, 37U}) {
      std::vector<float> before(count, 1.0F);
      EXPECT_EQ(Glance(before, before, 0).changed, 0U);
      EXPECT_FALSE(Glance(before, before, 0).stands_out);
      for (size_t at = 0; at < count; ++at) {
        std::vector<float> after = before;
        after[at] = 1.25F;
        EXPECT_EQ(Glance(before, after, 0.25F).changed, 1U);
        EXPECT_FALSE(Glance(before, after, 0.25F).stands_out);
        EXPECT_TRUE(Glance(before, after, 0.24F).stands_out);
      }
    }
  });
}

TEST(RoundingError, WhatIsNoUsualRoundingStandsOut) {
  OnEveryIsa([] {
    const float big = 1e9F;
    EXPECT_TRUE(Glance({INFINITY}, {INFINITY}, big).stands_out);
    EXPECT_FALSE(Glance({0.0F, -0.0F}, {0.0F, 0.0F}, big).stands_out);
    EXPECT_TRUE(Glance({1e-3F}, {0.0F}, big).stands_out);
    EXPECT_TRUE(Glance({1e5F}, {INFINITY}, big).stands_out);
    EXPECT_TRUE(Glance({NAN}, {NAN}, big).stands_out);
    EXPECT_TRUE(Glance({1e-31F}, {1.01e-31F}, big).stands_out);
    EXPECT_FALSE(Glance({1e-31F}, {1e-31F}, big).stands_out);
  });
}

}  // namespace
}  // namespace slim
