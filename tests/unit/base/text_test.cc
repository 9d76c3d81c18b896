#include "base/text.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

TEST(Escape, MakesControlCharactersAndBrokenUtf8Visible) {
  EXPECT_EQ(Escape("a\x1b[2J"), "a\\x1b[2J");
  EXPECT_EQ(Escape("é漢😀"), "é漢😀");
  EXPECT_EQ(Escape("\xC0\xAF\xFF"), "\\xc0\\xaf\\xff");
  EXPECT_EQ(Escape("a\\b"), "a\\\\b");
}

TEST(Quote, CutsLongNames) {
  EXPECT_EQ(Quote("x"), "'x'");
  const std::string quoted = Quote(std::string(1000, 'a'));
  EXPECT_LT(quoted.size(), 200U);
  EXPECT_NE(quoted.find("(1000 bytes)"), std::string::npos);
}

TEST(IsUtf8, RefusesOverlongSurrogatesAndCutSequences) {
  EXPECT_TRUE(IsUtf8("plain é漢😀"));
  EXPECT_FALSE(IsUtf8("\xC0\xAF"));
  EXPECT_FALSE(IsUtf8("\xED\xA0\x80"));
  EXPECT_FALSE(IsUtf8("\xE6\xBC"));
}

TEST(ParseSize, KnowsBinaryAndDecimalUnits) {
  EXPECT_EQ(ParseSize("1024"), 1024U);
  EXPECT_EQ(ParseSize("4GiB"), 4ULL << 30);
  EXPECT_EQ(ParseSize("4g"), 4ULL << 30);
  EXPECT_EQ(ParseSize("500MB"), 500000000U);
  EXPECT_FALSE(ParseSize("GiB"));
  EXPECT_FALSE(ParseSize("4XB"));
  EXPECT_FALSE(ParseSize("99999999999999999999"));
  EXPECT_FALSE(ParseSize("99999999TiB"));
}

TEST(HumanSize, IsExactBelowOneKib) {
  EXPECT_EQ(HumanSize(1023), "1023 B");
  EXPECT_EQ(HumanSize(1536), "1.5 KiB");
}

TEST(NearestSpelling, FindsTyposOnly) {
  EXPECT_EQ(NearestSpelling("--ouptut", {"--output", "--force"}), "--output");
  EXPECT_EQ(NearestSpelling("--zzzzzz", {"--output", "--force"}), "");
}

TEST(NaturalLess, OrdersNumbersByValue) {
  EXPECT_TRUE(NaturalLess("layers.2.x", "layers.10.x"));
  EXPECT_FALSE(NaturalLess("layers.10.x", "layers.2.x"));
  EXPECT_TRUE(NaturalLess("a", "b"));
  EXPECT_TRUE(NaturalLess("a01", "a1"));
  EXPECT_FALSE(NaturalLess("a", "a"));
}

}  // namespace
}  // namespace slim
