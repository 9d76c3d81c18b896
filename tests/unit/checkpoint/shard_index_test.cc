#include "checkpoint/shard_index.h"

#include <gtest/gtest.h>

#include "scratch.h"

namespace slim {
namespace {

std::string RuleOf(std::string_view json) {
  const auto index = ParseShardIndex(std::string(json));
  return index.ok() ? "" : index.error().rule;
}

TEST(ShardIndex, WritesWhatTheGoldenWritersWrite) {
  size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SLIM_TESTDATA)) {
    const std::string path = entry.path().string();
    // golden-stick indents by four.
    if (!path.ends_with(".safetensors.index.json") ||
        path.find("/golden-stick/") != std::string::npos)
      continue;
    const std::string text = ReadAll(path);
    const auto index = ParseShardIndex(text);
    ASSERT_TRUE(index.ok()) << path << index.error().ToString();
    EXPECT_EQ(WriteShardIndex(*index), text) << path;
    ++files;
  }
  EXPECT_GE(files, 2U);
}

TEST(ShardIndex, FilesInOrderOfFirstMention) {
  const auto index = ParseShardIndex(
      R"({"weight_map":{"a":"2.safetensors","b":"1.safetensors","c":"2.safetensors"},
          "metadata":{"total_size":7,"more":{"x":[1.5,null]}},"else":true})");
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(index->files(), (std::vector<std::string>{"2.safetensors", "1.safetensors"}));
  EXPECT_EQ(index->total_size, 7U);
}

TEST(ShardIndex, NoNameLeavesTheDirectory) {
  for (const char* name :
       {"../x.safetensors", "/etc/x.safetensors", "a/../b.safetensors", "", ".", "..",
        "a\\\\b.safetensors", "a\\u0000.safetensors", "x.bin", "x.safetensors\\n"}) {
    const std::string json = std::string("{\"weight_map\":{\"t\":\"") + name + "\"}}";
    EXPECT_EQ(RuleOf(json), "PATH-not-a-plain-name") << name;
  }
}

TEST(ShardIndex, Malformed) {
  EXPECT_EQ(RuleOf(R"({"metadata":{}})"), "IX-no-weight-map");
  EXPECT_EQ(RuleOf(R"({"weight_map":{},"weight_map":{}})"), "IX-duplicate-key");
  EXPECT_EQ(
      RuleOf(R"({"weight_map":{"a":"x.safetensors","b":"x.safetensors","a":"x.safetensors"}})"),
      "IX-duplicate-key");
  EXPECT_EQ(RuleOf(R"({"weight_map":{"a":1}})"), "JSON-type");
  EXPECT_EQ(RuleOf(R"({"weight_map":[]})"), "JSON-type");
  EXPECT_EQ(RuleOf("[]"), "JSON-type");
  EXPECT_EQ(RuleOf(""), "JSON-syntax");
  EXPECT_EQ(RuleOf(R"({"weight_map":{}} x)"), "JSON-trailing");
}

TEST(ShardIndex, NamesOutliveTheTextEscapedOrNot) {
  ShardIndex moved;
  {
    auto index = ParseShardIndex(
        R"({"weight_map":{"a\u0062":"2.safetensors","c":"1.safetensors","d":"2.safetensors"}})");
    ASSERT_TRUE(index.ok()) << index.error().ToString();
    moved = std::move(*index);
  }
  const auto& places = moved.weight_map();
  ASSERT_EQ(places.size(), 3U);
  EXPECT_EQ(places[0].tensor, "ab");
  EXPECT_EQ(places[1].tensor, "c");
  EXPECT_EQ(moved.FileOf(places[1]), "1.safetensors");
  EXPECT_EQ(moved.FileOf(places[2]), "2.safetensors");
  EXPECT_EQ(moved.files(), (std::vector<std::string>{"2.safetensors", "1.safetensors"}));
  EXPECT_EQ(RuleOf(R"({"weight_map":{"a\u0062":"1.safetensors","ab":"1.safetensors"}})"),
            "IX-duplicate-key");
}

}  // namespace
}  // namespace slim
