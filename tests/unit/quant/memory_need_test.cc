#include "quant/memory_need.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "quant/calibration.h"
#include "quant/quantize.h"

namespace slim {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCalibration = SLIM_TESTDATA "/golden/calib.jsonl";

class MemoryNeedTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "memory_XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(root_); }

  // The mixtures have no tokenizer of their own.
  std::string Model(const std::string& name) {
    const fs::path model = fs::path(root_) / name;
    fs::remove_all(model);
    fs::copy(fs::path(SLIM_TESTDATA) / "mixtures" / name, model);
    for (const auto& file :
         fs::directory_iterator(fs::path(SLIM_TESTDATA) / "golden/models/mini-qwen2-float32")) {
      if (file.path().filename().string().starts_with("tokenizer")) fs::copy(file.path(), model);
    }
    return model.string();
  }

  static QuantOptions Options(Scheme type) {
    QuantFlags flags;
    flags.type = type;
    flags.smooth = SmoothMethod::kIter;
    flags.float_names = DefaultFloatNames(type);
    flags.calibration_file = kCalibration;
    QuantOptions options;
    options.recipe = RecipeOf(flags);
    return options;
  }

  static void SetMethod(QuantOptions& options, WeightMethod method) {
    for (RecipeUnit& unit : options.recipe.process) {
      for (RecipeStep& step : unit.steps) {
        if (auto* linear = std::get_if<LinearStep>(&step)) linear->settings.weight.method = method;
      }
    }
  }

  // Files by name; empty with an error in `told`.
  std::map<std::string, std::string> Run(const std::string& model, const QuantOptions& options,
                                         std::string* told = nullptr) {
    std::map<std::string, std::string> files;
    const auto source = Checkpoint::OpenFloat(model);
    const auto plan = PlanQuantization(*source, options, SilentListener());
    OutputOptions output;
    output.fsync = false;
    output.force = true;
    const std::string target = root_ + "/out";
    const auto summary = Quantize(*source, *plan, options, target, output, SilentListener());
    if (!summary.ok() && told != nullptr) *told = summary.error().ToString();
    if (!summary.ok()) return files;
    for (const auto& file : fs::directory_iterator(target)) {
      std::ifstream stream(file.path(), std::ios::binary);
      files[file.path().filename().string()] =
          std::string(std::istreambuf_iterator<char>(stream), {});
    }
    return files;
  }

  std::string root_;
};

TEST_F(MemoryNeedTest, StreamedExpertsGiveTheSameBytes) {
  for (const auto& [name, method] : {std::pair{"qwen3-moe", SmoothMethod::kIter},
                                     {"qwen3-moe", SmoothMethod::kFlex},
                                     {"deepseek-v3", SmoothMethod::kIter}}) {
    const std::string model = Model(name);
    QuantOptions options = Options(Scheme::kW8A8);
    std::get<SmoothStep>(options.recipe.process.front().steps.front()).method = method;
    const auto whole = Run(model, options);
    ASSERT_FALSE(whole.empty()) << name;
    const auto source = Checkpoint::OpenFloat(model);
    const auto plan = PlanQuantization(*source, options, SilentListener());
    const auto text = LoadCalibration(*source, plan->config, kCalibration, SilentListener());
    TextSize size;
    for (const std::vector<int32_t>& sample : text->samples) {
      size.tokens += sample.size();
      size.longest = std::max<uint64_t>(size.longest, sample.size());
    }
    size.samples = text->samples.size();
    const std::vector<TextSize> texts = {size};
    const uint64_t held = MemoryNeed(*plan, options, texts, ExpertStorage::kResident, 1);
    const uint64_t streamed = MemoryNeed(*plan, options, texts, ExpertStorage::kStreamed, 1);
    EXPECT_LT(streamed, held) << name;
    ASSERT_TRUE(CanStreamExperts(*plan, options));
    EXPECT_EQ(ChooseStorage(*plan, options, texts, held - 1, 1).value(), ExpertStorage::kStreamed);
    EXPECT_EQ(ChooseStorage(*plan, options, texts, held, 1).value(), ExpertStorage::kResident);
    options.max_memory = 1;
    std::string told;
    EXPECT_TRUE(Run(model, options, &told).empty());
    EXPECT_NE(told.find("--max-memory is 1 B, this run needs"), std::string::npos) << told;
    options.max_memory = streamed;
    EXPECT_EQ(Run(model, options), whole) << name;
  }
}

// What changes a block before a second pass over it needs the experts there.
TEST_F(MemoryNeedTest, ExpertsAreHeldWhereTheyMustBe) {
  const std::string model = Model("qwen3-moe");
  const auto source = Checkpoint::OpenFloat(model);
  QuantOptions options = Options(Scheme::kW8A8);
  options.recipe.propagate = Propagation::kQuantized;
  auto plan = PlanQuantization(*source, options, SilentListener());
  EXPECT_FALSE(CanStreamExperts(*plan, options));
  const auto refused = ChooseStorage(*plan, options, {{749, 200}}, 1 << 20, 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().ToString().find("the machine has 1.0 MiB free"), std::string::npos);
  EXPECT_NE(refused.error().ToString().find("--propagate float"), std::string::npos);
  options = Options(Scheme::kW8A8);
  SmoothStep search = std::get<SmoothStep>(options.recipe.process.front().steps.front());
  search.method = SmoothMethod::kFlex;
  options.recipe.process.insert(options.recipe.process.begin() + 1, RecipeUnit{{search}});
  plan = PlanQuantization(*source, options, SilentListener());
  EXPECT_FALSE(CanStreamExperts(*plan, options));
}

TEST_F(MemoryNeedTest, MomentsAndSecondPassesCount) {
  const std::string model = SLIM_TESTDATA "/models/tiny-qwen2";
  const auto source = Checkpoint::OpenFloat(model);
  const std::vector<TextSize> texts = {{749, 200}};
  const auto need = [&](const QuantOptions& options) {
    const auto plan = PlanQuantization(*source, options, SilentListener());
    return MemoryNeed(*plan, options, texts, ExpertStorage::kResident, 1);
  };
  QuantOptions plain = Options(Scheme::kW4A8Dynamic);
  SetMethod(plain, WeightMethod::kMinMax);
  QuantOptions gptq = plain;
  SetMethod(gptq, WeightMethod::kGptq);
  // q, k, v share one matrix of 256 x 256, so do gate and up; o has one, down one of 768 x 768.
  const uint64_t matrices = (3 * 256 * 256 + 768 * 768) * sizeof(float);
  EXPECT_GE(need(gptq), need(plain) + matrices);
  QuantOptions quantized = Options(Scheme::kW8A8);
  const uint64_t one_pass = need(quantized);
  quantized.recipe.propagate = Propagation::kQuantized;
  EXPECT_GT(need(quantized), one_pass);
}

}  // namespace
}  // namespace slim
