#include "quant/recipe_yaml.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "base/text.h"

namespace slim {
namespace {

// A recipe whose process holds `steps`, from line 4.
std::string WithProcess(std::string_view steps, std::string_view rest = "") {
  return fmt::format("apiversion: modelslim_v1\nspec:\n  process:\n{}{}", steps, rest);
}

constexpr std::string_view kStatic =
    "    - type: linear_quant\n"
    "      qconfig:\n"
    "        act: {scope: per_tensor, dtype: int8, symmetric: false, method: minmax}\n"
    "        weight: {scope: per_channel, dtype: int8, symmetric: true, method: minmax}\n"
    "      include: [\"*\"]\n"
    "      exclude: [\"*down_proj*\"]\n";

Recipe Read(const std::string& text) {
  auto file = ParseRecipe(text, "r.yaml");
  EXPECT_TRUE(file.ok()) << file.error().ToString();
  return file.ok() ? file->recipe : Recipe();
}

std::string Refused(const std::string& text) {
  const auto file = ParseRecipe(text, "r.yaml");
  return file.ok() ? "accepted" : file.error().ToString();
}

TEST(RecipeYaml, OneClickRecipe) {
  const Recipe recipe = Read(WithProcess(
      "    - {type: iter_smooth, alpha: 0.5, enable_subgraph_type: [norm-linear, ov]}\n" +
          std::string(kStatic) +
          "    - {type: dynamic_cache, qconfig: {scope: per_channel, dtype: int8, symmetric: "
          "true}}\n",
      "  save: [{type: mindie_format_saver, part_file_size: 0}]\n  dataset: mine.jsonl\n"));
  ASSERT_EQ(recipe.process.size(), 3U);
  const auto& smooth = std::get<SmoothStep>(recipe.process[0].steps[0]);
  EXPECT_EQ(smooth.method, SmoothMethod::kIter);
  EXPECT_EQ(smooth.alpha, 0.5);
  EXPECT_EQ(smooth.pairs, (std::vector<SmoothPair>{SmoothPair::kNormLinear, SmoothPair::kOv}));
  const auto& linear = std::get<LinearStep>(recipe.process[1].steps[0]);
  EXPECT_EQ(linear.settings.scheme, Scheme::kW8A8);
  EXPECT_FALSE(linear.settings.activation.symmetric);
  EXPECT_FALSE(linear.whole_model);
  EXPECT_EQ(linear.names.exclude, std::vector<std::string>{"*down_proj*"});
  EXPECT_TRUE(std::holds_alternative<KvCacheStep>(recipe.process[2].steps[0]));
  EXPECT_EQ(recipe.layout, Dialect::kMindIE);
  EXPECT_EQ(recipe.part_size, 0U);
  EXPECT_EQ(recipe.calibration_file, "mine.jsonl");
}

TEST(RecipeYaml, GroupsPriorAnchorsAndExtras) {
  const Recipe recipe = Read(
      "apiversion: modelslim_v1\n"
      "dynamic: &dynamic\n"
      "  act: {scope: per_token, dtype: int8, symmetric: True, method: minmax}\n"
      "  weight: {scope: per_channel, dtype: int4, method: ssz, ext: {step: 10, clip: mse}}\n"
      "spec:\n"
      "  runner: layer_wise\n"
      "  prior:\n"
      "    - process: [{type: quarot, block_size: 32}]\n"
      "      dataset: other.jsonl\n"
      "  process:\n"
      "    - type: group\n"
      "      configs:\n"
      "        - {type: linear_quant, qconfig: *dynamic, include: [\"*mlp*\"]}\n"
      "        - {type: linear_quant, qconfig: *dynamic, include: [\"*attn*\"]}\n"
      "  save: [{type: ascendv1_saver}]\n");
  ASSERT_EQ(recipe.process.size(), 1U);
  ASSERT_EQ(recipe.process[0].steps.size(), 2U);
  const auto& linear = std::get<LinearStep>(recipe.process[0].steps[1]);
  EXPECT_EQ(linear.settings.scheme, Scheme::kW4A8Dynamic);
  EXPECT_EQ(linear.settings.weight.method, WeightMethod::kSsz);
  EXPECT_EQ(linear.settings.weight.steps, 10U);
  EXPECT_EQ(linear.settings.weight.clip, WeightClip::kMse);
  ASSERT_EQ(recipe.prior.size(), 1U);
  EXPECT_EQ(std::get<RotationStep>(recipe.prior[0].process[0].steps[0]).block_size, 32U);
  EXPECT_EQ(recipe.prior[0].calibration_file, "other.jsonl");
  EXPECT_EQ(recipe.part_size, 4ULL << 30);
}

// Every recipe of the golden data is read as it is.
TEST(RecipeYaml, GoldenRecipes) {
  const std::string folder = std::string(SLIM_TESTDATA) + "/golden/recipes";
  size_t read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    // The layout of the ct-* ones is slim-convert's to write.
    if (entry.path().filename().string().starts_with("ct-")) continue;
    std::ifstream stream(entry.path());
    const std::string text((std::istreambuf_iterator<char>(stream)), {});
    const auto file = ParseRecipe(text, entry.path().string());
    EXPECT_TRUE(file.ok()) << file.error().ToString();
    if (!file.ok()) continue;
    EXPECT_EQ(file->metadata.config_id, entry.path().stem());
    EXPECT_EQ(file->recipe.calibration_file, "CALIB");
    ++read;
  }
  EXPECT_EQ(read, 29U);
}

TEST(RecipeYaml, Metadata) {
  const auto file = ParseRecipe(
      WithProcess(
          kStatic,
          "metadata:\n  config_id: x-w8a8\n  score: 90\n  author: somebody\n"
          "  label: {w_bit: 8, a_bit: 8, is_sparse: False, kv_cache: True, fa_quant: True}\n"
          "  verified_model_types: [Qwen3-8B]\n"
          "  verified_tags:\n    Qwen3-8B:\n      - [MindIE, Atlas_A2_Inference]\n"),
      "r.yaml");
  ASSERT_TRUE(file.ok()) << file.error().ToString();
  EXPECT_EQ(file->metadata.config_id, "x-w8a8");
  EXPECT_EQ(file->metadata.score, 90);
  EXPECT_EQ(file->metadata.w_bit, 8);
  EXPECT_EQ(file->metadata.fa_bit, 8);
  EXPECT_TRUE(file->metadata.kv_cache);
  ASSERT_EQ(file->metadata.verified_tags.size(), 1U);
  EXPECT_EQ(file->metadata.verified_tags[0].second[0][1], "Atlas_A2_Inference");
}

struct Refusal {
  std::string_view name;
  std::string text;
  std::string_view wanted;
};

TEST(RecipeYaml, ErrorsNameFileLineAndKey) {
  const Refusal kCases[] = {
      {"misspelt key", WithProcess("    - type: iter_smooth\n      alhpa: 0.5\n"),
       "r.yaml:5: key 'alhpa' of iter_smooth is not supported [RECIPE-key]; did you mean alpha?"},
      {"misspelt processor", WithProcess("    - type: iter_smoth\n"),
       "r.yaml:4: processor 'iter_smoth' is unknown [RECIPE-value]; did you mean iter_smooth?"},
      {"a processor of msModelSlim's that we lack", WithProcess("    - type: flatquant\n"),
       "r.yaml:4: processor flatquant is one that slim does not have"},
      {"wrong kind", WithProcess("    - {type: iter_smooth, alpha: strong}\n"),
       "r.yaml:4: alpha of iter_smooth is 'strong', wanted a number from 0 to 1"},
      {"out of range", WithProcess("    - {type: iter_smooth, alpha: 1.5}\n"),
       "r.yaml:4: alpha of iter_smooth is '1.5', wanted a number from 0 to 1"},
      {"pair", WithProcess("    - {type: iter_smooth, enable_subgraph_type: [norm]}\n"),
       "r.yaml:4: enable_subgraph_type 'norm' is unknown"},
      {"no type for the pair of codes",
       WithProcess("    - type: linear_quant\n      qconfig:\n"
                   "        act: {scope: per_tensor, dtype: int8}\n"
                   "        weight: {scope: per_channel, dtype: int4}\n"),
       "r.yaml:6: no quantization type has int8 per_tensor activations with int4 per_channel "
       "weights"},
      {"method",
       WithProcess("    - type: linear_quant\n      qconfig:\n"
                   "        weight: {scope: per_channel, dtype: int8, method: minmx}\n"),
       "r.yaml:6: method 'minmx' of weight is not supported [RECIPE-value]; did you mean minmax?"},
      {"no qconfig", WithProcess("    - type: linear_quant\n"),
       "r.yaml:4: linear_quant has no qconfig"},
      {"group in a group", WithProcess("    - type: group\n      configs: [{type: group}]\n"),
       "r.yaml:5: processor 'group' is unknown"},
      {"misspelt required key", "apiversion: modelslim_v1\nspec:\n  proces: []\n",
       "r.yaml:3: key 'proces' of spec is not supported [RECIPE-key]; did you mean process?"},
      {"no process", "apiversion: modelslim_v1\nspec:\n  save: []\n",
       "r.yaml:3: spec has no process"},
      {"no spec", "apiversion: modelslim_v1\nspce: {}\n",
       "r.yaml:2: key 'spce' of the recipe is not supported [RECIPE-key]; did you mean spec?"},
      {"apiversion", "apiversion: modelslim_v7\nspec: {}\n",
       "r.yaml:1: apiversion 'modelslim_v7' of the recipe is not supported"},
      {"two savers",
       WithProcess(kStatic,
                   "  save:\n    - {type: ascendv1_saver}\n    - {type: ascendv1_saver}\n"),
       "r.yaml:12: a second saver is not supported"},
      {"foreign saver", WithProcess(kStatic, "  save: [{type: compressed_tensors}]\n"),
       "r.yaml:10: slim-quant does not write the layout of compressed_tensors itself"},
      {"saver", WithProcess(kStatic, "  save: [{type: ascend_saver}]\n"),
       "r.yaml:10: type 'ascend_saver' of save is not supported"},
      {"a list instead of a mapping", "- 1\n", "r.yaml:1: the recipe is a list, wanted a mapping"},
      {"spec key", WithProcess(kStatic, "  datset: x\n"),
       "r.yaml:10: key 'datset' of spec is not supported [RECIPE-key]; did you mean dataset?"},
  };
  for (const Refusal& test : kCases) {
    const std::string found = Refused(test.text);
    EXPECT_TRUE(found.starts_with(test.wanted)) << test.name << ": " << found;
  }
}

TEST(RecipeYaml, ConvertRecipesMatchLinearsByName) {
  const Recipe recipe = Read(
      "apiversion: modelslim_convert\nspec:\n  linears:\n"
      "    - {match: [\"*.experts.*\"], target: W8A8_MXFP8, route: auto}\n"
      "  save: [{type: ascend_v1, part_file_size: 4}]\n  parallel: {workers: 4}\n");
  ASSERT_EQ(recipe.process.size(), 1U);
  const auto& step = std::get<LinearStep>(recipe.process[0].steps[0]);
  EXPECT_EQ(step.settings.scheme, Scheme::kW8A8MXFP8);
  EXPECT_EQ(step.names.include, std::vector<std::string>{"*.experts.*"});
  EXPECT_NE(Refused("apiversion: modelslim_convert\nspec:\n  linears:\n"
                    "    - {match: [\"*\"], target: FLOAT}\n")
                .find("slim-convert IN -o OUT --to hf --dequantize"),
            std::string::npos);
}

TEST(RecipeYaml, TraditionalRecipes) {
  const Recipe recipe = Read(
      "apiversion: modelslim_v0\nspec:\n  anti_cfg: {anti_method: m6, flex_config: {alpha: 0.75, "
      "beta: 0.1}, disable_anti_names: [model.layers.0.self_attn.o_proj]}\n"
      "  calib_cfg: {w_bit: 8, a_bit: 8, mm_tensor: False, act_method: 2, use_kvcache_quant: True, "
      "pdmix: True, disable_names: [lm_head]}\n"
      "  calib_dataset: a.jsonl\n  anti_dataset: b.jsonl\n"
      "  calib_save_params: {part_file_size: 4}\n");
  EXPECT_EQ(recipe.layout, Dialect::kAscendV1V0);
  EXPECT_EQ(recipe.part_size, 4ULL << 30);
  ASSERT_EQ(recipe.prior.size(), 1U);
  const auto& smooth = std::get<SmoothStep>(recipe.prior[0].process[0].steps[0]);
  EXPECT_EQ(smooth.method, SmoothMethod::kFlex);
  EXPECT_EQ(smooth.beta, 0.1);
  EXPECT_EQ(smooth.names.exclude[0], "model.layers.0.self_attn.v_proj");
  ASSERT_EQ(recipe.process.size(), 2U);
  const auto& linear = std::get<LinearStep>(recipe.process[0].steps[0]);
  EXPECT_EQ(linear.settings.scheme, Scheme::kW8A8Mix);
  EXPECT_EQ(linear.settings.activation.method, ActivationMethod::kHistogram);
  EXPECT_NE(Refused("apiversion: modelslim_v0\nspec:\n  calib_cfg:\n    mm_tensor: True\n")
                .find("r.yaml:4: mm_tensor 'True' is not supported"),
            std::string::npos);
}

}  // namespace
}  // namespace slim
