// Every data-free type against what msModelSlim 26.1.0 wrote of the same models (its one-click
// recipes of these names, --compute model): XXH3-128 of description, index and weights.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "os/digest.h"
#include "quant/quantize.h"

namespace slim {
namespace {

namespace fs = std::filesystem;

struct GoldenRun {
  const char* name;  // model / recipe
  Scheme type;
  WeightMethod method;
  const char* description;
  const char* index;
  const char* weights;
};

constexpr GoldenRun kRuns[] = {
    {"mini-qwen2-bfloat16/w8a16", Scheme::kW8A16, WeightMethod::kMinMax,
     "788431a295ac385f76e2b4246b747689", "f5837ff33e202274dfe2f283bfd0437c",
     "3504b0a183ebab44a507198f8216b92f"},
    {"mini-qwen2-bfloat16/w8a8-dynamic", Scheme::kW8A8Dynamic, WeightMethod::kMinMax,
     "cc9a1b70f98b3b06281125203bc596a6", "f5837ff33e202274dfe2f283bfd0437c",
     "3504b0a183ebab44a507198f8216b92f"},
    {"mini-qwen2-bfloat16/w8a8-ssz", Scheme::kW8A8Dynamic, WeightMethod::kSsz,
     "cc9a1b70f98b3b06281125203bc596a6", "f5837ff33e202274dfe2f283bfd0437c",
     "2513a2e59f63b45117d394b88fbf8a43"},
    {"mini-qwen2-bfloat16/w4a8", Scheme::kW4A8Dynamic, WeightMethod::kMinMax,
     "a62474f3084b7473dfc110bf6c6e66f4", "835f38c079cd23561552b18324e048a8",
     "582094dae0d54adb08ed4790ca9d7b4e"},
    {"mini-qwen2-bfloat16/w4a8-ssz", Scheme::kW4A8Dynamic, WeightMethod::kSsz,
     "a62474f3084b7473dfc110bf6c6e66f4", "835f38c079cd23561552b18324e048a8",
     "8be6003dfb5481efdcab748efd3878c3"},
    {"mini-qwen2-bfloat16/fp8", Scheme::kWFP8AFP8Dynamic, WeightMethod::kMinMax,
     "4423d2afa302bb96063782de89c0d6cd", "f5837ff33e202274dfe2f283bfd0437c",
     "42ef368fa8acf9bd12fb75d1d3c65a53"},
    {"mini-qwen2-bfloat16/mxfp8", Scheme::kW8A8MXFP8, WeightMethod::kMinMax,
     "008d255d2bbbc9e60b348ffd990f28ce", "6619467cc9545dbe2cdec2cb54f97e3d",
     "1b3dba0be92c86e39992946e21c6f51e"},
    {"mini-qwen2-bfloat16/mxfp4", Scheme::kW4A4MXFP4, WeightMethod::kMinMax,
     "61c5ba33178cf8f9e7474402f43d1271", "5ba8c379fae7c4586e964732730afbab",
     "51aac486a447aa88f77b82e0839bda6a"},
    {"mini-qwen2-float32/w8a16", Scheme::kW8A16, WeightMethod::kMinMax,
     "788431a295ac385f76e2b4246b747689", "d473a9b1ab77cd403ca14977735ff98c",
     "91535826b6723183901a60e17f110abf"},
    {"mini-qwen2-float32/w4a8-ssz", Scheme::kW4A8Dynamic, WeightMethod::kSsz,
     "a62474f3084b7473dfc110bf6c6e66f4", "5f520d06830a8ac677aea9f5b4a1de17",
     "c2761fdcf7cc8fc0ca15f98474ab7286"},
    {"mini-qwen3-float16/w8a16", Scheme::kW8A16, WeightMethod::kMinMax,
     "8ce1e58f897d92025a01748330dd73bb", "17a7480d4ca0ee531b879e2f67b375cc",
     "9cfd9c87f50e753714d958039f9d3247"},
    {"mini-qwen3-float16/w8a8-dynamic", Scheme::kW8A8Dynamic, WeightMethod::kMinMax,
     "1aa29af916137eae2a1ead467f5d0c7b", "17a7480d4ca0ee531b879e2f67b375cc",
     "9cfd9c87f50e753714d958039f9d3247"},
    {"mini-qwen3-float16/w8a8-ssz", Scheme::kW8A8Dynamic, WeightMethod::kSsz,
     "1aa29af916137eae2a1ead467f5d0c7b", "17a7480d4ca0ee531b879e2f67b375cc",
     "e76c57c1bdc85576774910b959418552"},
    {"mini-qwen3-float16/w4a8", Scheme::kW4A8Dynamic, WeightMethod::kMinMax,
     "bd53bcd8ecd5eefe42aef13b7c8404da", "7d6f502cb7ad10137c1cac8e3b3d14ae",
     "a5c8216e5602dc5056765fb227517625"},
    {"mini-qwen3-float16/w4a8-ssz", Scheme::kW4A8Dynamic, WeightMethod::kSsz,
     "bd53bcd8ecd5eefe42aef13b7c8404da", "7d6f502cb7ad10137c1cac8e3b3d14ae",
     "83b65c321c7d5da48e9c4cb3a0e2f3d6"},
    {"mini-qwen3-float16/fp8", Scheme::kWFP8AFP8Dynamic, WeightMethod::kMinMax,
     "20e879352b3c97c1910a859324ebd09a", "17a7480d4ca0ee531b879e2f67b375cc",
     "6ccc2df4139a1848bf90e60981971d53"},
    {"mini-qwen3-float16/mxfp8", Scheme::kW8A8MXFP8, WeightMethod::kMinMax,
     "cd33d417e02bc7b486f7ddb4ae6bcbd0", "fd27adcac7f8b40644d25566523a6471",
     "b86b24b3ed843c8c0bf1aa1f121f0348"},
    {"mini-qwen3-float16/mxfp4", Scheme::kW4A4MXFP4, WeightMethod::kMinMax,
     "33c78514de3a2e2959429dd1a73dd57b", "36fb736f24402f81f0d5a23f037bcd5a",
     "2e96ac0ef5e8db029cbb3103de6d6d09"}};

class TypesGolden : public testing::TestWithParam<GoldenRun> {};

std::string FileDigest(const fs::path& path) {
  const std::string content = ReadWholeFile(path.string()).value();
  return Xxh3(std::as_bytes(std::span(content)));
}

TEST_P(TypesGolden, IsByteIdentical) {
  const GoldenRun& run = GetParam();
  const std::string name = run.name;
  const std::string model = name.substr(0, name.find('/'));
  QuantFlags flags;
  flags.type = run.type;
  flags.smooth.reset();
  flags.compute = ComputeMode::kModel;
  flags.float_names = DefaultFloatNames(run.type);
  flags.weight_method = run.method;
  QuantOptions options;
  options.recipe = RecipeOf(flags);
  const auto source = Checkpoint::Open(std::string(SLIM_TESTDATA) + "/golden/models/" + model);
  ASSERT_TRUE(source.ok());
  const auto plan = PlanQuantization(*source, options, SilentListener());
  ASSERT_TRUE(plan.ok()) << plan.error().ToString();
  const fs::path target = fs::temp_directory_path() / ("slim-types-" + std::to_string(::getpid()));
  const auto summary =
      Quantize(*source, *plan, options, target.string(), {.fsync = false}, SilentListener());
  ASSERT_TRUE(summary.ok()) << summary.error().ToString();
  EXPECT_EQ(FileDigest(target / "quant_model_description.json"), run.description);
  EXPECT_EQ(FileDigest(target / "quant_model_weights.safetensors.index.json"), run.index);
  EXPECT_EQ(FileDigest(target / "quant_model_weights-00001-of-00001.safetensors"), run.weights);
  fs::remove_all(target);
}

INSTANTIATE_TEST_SUITE_P(OneClick, TypesGolden, testing::ValuesIn(kRuns), [](const auto& run) {
  std::string name = run.param.name;
  for (char& c : name) c = c == '/' || c == '-' ? '_' : c;
  return name;
});

}  // namespace
}  // namespace slim
