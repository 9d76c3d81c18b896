#include "base/name_table.h"

#include <gtest/gtest.h>

#include <string>

namespace slim {
namespace {

TEST(NameTable, FindsWhatWasInsertedAcrossGrowth) {
  std::vector<std::string> names;
  NameTable table;
  const auto name_at = [&](uint32_t i) { return std::string_view(names[i]); };
  EXPECT_EQ(table.Find("a", name_at), NameTable::kNone);
  for (uint32_t i = 0; i < 1000; ++i) {
    names.push_back("model.layers." + std::to_string(i));
    EXPECT_EQ(table.Insert(names[i], i, name_at), i);
  }
  for (uint32_t i = 0; i < 1000; ++i) EXPECT_EQ(table.Find(names[i], name_at), i);
  EXPECT_EQ(table.Find("model.layers.1000", name_at), NameTable::kNone);
  EXPECT_EQ(table.Find("", name_at), NameTable::kNone);
}

TEST(NameTable, SecondInsertGivesTheFirstPosition) {
  const std::vector<std::string> names = {"x", "y", "x"};
  NameTable table;
  table.Reserve(100);
  const auto name_at = [&](uint32_t i) { return std::string_view(names[i]); };
  EXPECT_EQ(table.Insert("x", 0, name_at), 0U);
  EXPECT_EQ(table.Insert("y", 1, name_at), 1U);
  EXPECT_EQ(table.Insert("x", 2, name_at), 0U);
}

TEST(NameTable, FindsManyAsItFindsOne) {
  std::vector<std::string> names;
  NameTable table;
  const auto name_at = [&](uint32_t i) { return std::string_view(names[i]); };
  std::vector<uint32_t> found;
  const auto keep = [&](size_t i, uint32_t position) {
    ASSERT_EQ(i, found.size());
    found.push_back(position);
  };
  table.FindEach(
      3, [](size_t) { return std::string_view("a"); }, name_at, keep);
  EXPECT_EQ(found, std::vector<uint32_t>(3, NameTable::kNone));
  for (uint32_t i = 0; i < 500; ++i) {
    names.push_back("model.layers." + std::to_string(i));
    table.Insert(names[i], i, name_at);
  }
  std::vector<std::string> wanted;
  for (uint32_t i = 0; i < 777; ++i)
    wanted.push_back("model.layers." + std::to_string(i * 7 % 700));
  found.clear();
  table.FindEach(
      wanted.size(), [&](size_t i) { return std::string_view(wanted[i]); }, name_at, keep);
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(found[i], table.Find(wanted[i], name_at));
}

}  // namespace
}  // namespace slim
