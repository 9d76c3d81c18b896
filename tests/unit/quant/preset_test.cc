#include "quant/preset.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

TEST(Presets, ShipForEveryFamilyAndParse) {
  const auto presets = LoadPresets();
  ASSERT_TRUE(presets.ok()) << presets.error().ToString();
  for (const std::string_view name :
       {"llama-w8a8", "qwen1_5-w8a8", "qwen2-w8a8", "qwen2_5-w8a8", "qwq-w8a8", "qwen3-w8a8",
        "qwen3_moe-w8a8", "deepseek_v3-w8a8", "golden-stick-w8a8"}) {
    EXPECT_TRUE(FindPreset(*presets, name).ok()) << name;
  }
  for (const Preset& preset : *presets) EXPECT_EQ(preset.file.metadata.config_id, preset.name);
}

struct Lookup {
  std::string_view model;
  std::string_view type;
  std::vector<std::string> tags;
  std::string_view wanted;
};

TEST(Presets, AreFoundByModelTypeAndTags) {
  const auto presets = LoadPresets();
  ASSERT_TRUE(presets.ok());
  const Lookup kCases[] = {
      {"Qwen2.5-7B-Instruct", "w8a8", {}, "qwen2_5-w8a8"},
      {"Qwen2-72B", "W8A8C8", {}, "qwen2-w8a8c8"},
      {"Qwen3-30B-A3B", "w4a8", {}, "qwen3_moe-w4a8"},
      {"Qwen3-8B", "w8a8s", {}, "qwen3-w8a8s"},
      {"Qwen3-8B", "w8a8", {"mindie", "atlas_a2_inference"}, "qwen3-w8a8"},
      {"DeepSeek-R1-Distill-Qwen-7B", "w8a8", {}, "deepseek_r1_distill-w8a8"},
      {"DeepSeek-R1-0528", "w4a8", {}, "deepseek_v3-w4a8"},
      {"meta", "w8a16", {}, "default-w8a16"},
      {"", "w8a8", {}, "default-w8a8"},
  };
  for (const Lookup& test : kCases) {
    const auto choice = ChoosePreset(*presets, test.model, test.type, test.tags);
    ASSERT_TRUE(choice.ok()) << choice.error().ToString();
    EXPECT_EQ(choice->preset->name, test.wanted) << test.model;
  }
  EXPECT_FALSE(ChoosePreset(*presets, "Qwen3-8B", "w2a2", {}).ok());
}

}  // namespace
}  // namespace slim
