// The table of loaders and what users type.
#include "verify/profile.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

TEST(LoaderTable, OneDefaultALoader) {
  for (const LoaderRow& loader : Loaders()) {
    int defaults = 0;
    Release last;
    for (const LoaderVersionRow& row : LoaderVersions()) {
      if (row.loader != loader.loader) continue;
      defaults += row.is_default ? 1 : 0;
      EXPECT_LT(last, row.first) << loader.name << row.version;
      EXPECT_LE(row.first, row.last);
      last = row.last;
    }
    EXPECT_EQ(defaults, 1) << loader.name;
  }
}

TEST(ParseLoaderTarget, VersionsFallIntoGenerations) {
  EXPECT_EQ(ParseLoaderTarget("vllm-ascend")->version, LoaderVersion::kVllm16);
  EXPECT_EQ(ParseLoaderTarget("vllm-ascend@0.18.0rc1")->version, LoaderVersion::kVllm16);
  EXPECT_EQ(ParseLoaderTarget("vllm-ascend@v0.9.1")->version, LoaderVersion::kVllm09);
  EXPECT_EQ(ParseLoaderTarget("vllm-ascend@0.7.3")->version, LoaderVersion::kVllm07);
  EXPECT_EQ(ParseLoaderTarget("vllm-ascend@main")->version, LoaderVersion::kVllmMain);
  EXPECT_EQ(ParseLoaderTarget("mindie-atb@2.1")->name, "mindie-atb@2.1");
}

TEST(ParseLoaderTarget, WhatDoesNotExistListsWhatDoes) {
  const auto loader = ParseLoaderTarget("vllm");
  ASSERT_FALSE(loader.ok());
  EXPECT_EQ(loader.error().code, ErrorCode::kUsage);
  EXPECT_EQ(loader.error().hint,
            "there are mindie-atb, mindie, vllm-ascend, sglang, vllm-mindspore");
  for (const char* text :
       {"vllm-ascend@", "vllm-ascend@0.5", "vllm-ascend@x", "vllm-ascend@0.1x"}) {
    const auto version = ParseLoaderTarget(text);
    ASSERT_FALSE(version.ok()) << text;
    EXPECT_NE(version.error().hint.find("0.16 (0.16 to 0.27)"), std::string::npos);
  }
}

TEST(ParseChip, NamesAndTheirSpellings) {
  EXPECT_EQ(*ParseChip("300I Duo"), Chip::k300I);
  EXPECT_EQ(*ParseChip("310p"), Chip::k300I);
  EXPECT_EQ(*ParseChip("a5"), Chip::kA5);
  EXPECT_EQ(ParseChip("B2").error().hint, "there are 300I, A2, A3, A5");
}

TEST(NamesOf, WholeLoadersWithoutTheirVersions) {
  EXPECT_EQ(NamesOf(VersionsOf(Loader::kVllmAscend)), std::vector<std::string>{"vllm-ascend"});
  EXPECT_EQ(NamesOf(BitOf(LoaderVersion::kVllm09) | BitOf(LoaderVersion::kMindieNow)),
            (std::vector<std::string>{"mindie", "vllm-ascend@0.9"}));
}

}  // namespace
}  // namespace slim
