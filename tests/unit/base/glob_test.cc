#include "base/glob.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

bool Matches(std::string_view pattern, std::string_view name) {
  auto glob = Glob::Compile(pattern);
  return glob.ok() && glob->Matches(name);
}

TEST(Glob, StarCrossesDotsAndTheWholeNameCounts) {
  EXPECT_TRUE(Matches("*down_proj*", "model.layers.3.mlp.down_proj"));
  EXPECT_TRUE(Matches("*down_proj", "model.layers.3.mlp.down_proj"));
  EXPECT_FALSE(Matches("down_proj", "model.layers.3.mlp.down_proj"));
  EXPECT_TRUE(Matches("*", ""));
}

TEST(Glob, BracesAndRangesExpand) {
  EXPECT_TRUE(Matches("*.{q,k}_proj", "model.layers.0.self_attn.k_proj"));
  EXPECT_FALSE(Matches("*.{q,k}_proj", "model.layers.0.self_attn.v_proj"));
  EXPECT_TRUE(Matches("model.layers.{1..3}.*", "model.layers.2.mlp"));
  EXPECT_FALSE(Matches("model.layers.{1..3}.*", "model.layers.4.mlp"));
  EXPECT_TRUE(Matches("a{b,c{1..2}}", "ac2"));
  EXPECT_TRUE(Matches("{0-27}", "{0-27}"));
}

TEST(Glob, SetsAndQuestionMarks) {
  EXPECT_TRUE(Matches("l[0-3].?", "l2.x"));
  EXPECT_FALSE(Matches("l[!0-3].?", "l2.x"));
  EXPECT_TRUE(Matches("a[b", "a[b"));
}

TEST(Glob, DoesNotGoExponential) {
  EXPECT_FALSE(Matches("*a*a*a*a*a*a*a*a*b", std::string(5000, 'a')));
}

TEST(Glob, RefusesHugeExpansions) {
  EXPECT_FALSE(Glob::Compile("{1..200000}").ok());
  EXPECT_FALSE(Glob::Compile("{1..200}{1..200}").ok());
}

TEST(GlobSet, ReportsPatternsThatMatchedNothing) {
  auto set = GlobSet::Compile({"*q_proj", "nothing"});
  ASSERT_TRUE(set.ok());
  EXPECT_TRUE(set->Matches("a.q_proj"));
  EXPECT_EQ(set->Unmatched(), std::vector<std::string>{"nothing"});
}

}  // namespace
}  // namespace slim
