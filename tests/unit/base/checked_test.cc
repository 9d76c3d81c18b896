#include "base/checked.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

TEST(Checked, OverflowIsEmpty) {
  EXPECT_EQ(CheckedAdd(1, 2), 3U);
  EXPECT_FALSE(CheckedAdd(UINT64_MAX, 1));
  EXPECT_EQ(CheckedMul(1ULL << 31, 2), 1ULL << 32);
  EXPECT_FALSE(CheckedMul(1ULL << 32, 1ULL << 32));
}

TEST(Narrow, RefusesWhatDoesNotFit) {
  EXPECT_EQ(Narrow<int32_t>(uint64_t{7}), 7);
  EXPECT_FALSE(Narrow<int32_t>(uint64_t{1} << 31));
  EXPECT_FALSE(Narrow<uint32_t>(int64_t{-1}));
}

TEST(CeilDiv, RoundsUp) {
  EXPECT_EQ(CeilDiv(8, 4), 2U);
  EXPECT_EQ(CeilDiv(9, 4), 3U);
}

}  // namespace
}  // namespace slim
