// Calibrated recipes against what msModelSlim wrote for mini-qwen2-float32: its propagation of
// quantized activations and its arithmetic (--propagate quantized, --compute model). The whole
// outputs were compared code by code with ../shared/judge/compare_checkpoints.py; here their sums
// (testdata/golden/calibrated.tsv).
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "quant/quantize.h"

namespace slim {
namespace {

namespace fs = std::filesystem;

const std::string kGolden = std::string(SLIM_TESTDATA) + "/golden";

class Calibrated : public testing::Test {
 protected:
  Calibrated()
      : folder_(fs::temp_directory_path() / ("slim-calibrated-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~Calibrated() override { fs::remove_all(folder_); }

  Result<std::string> Run(const std::string& model, Recipe recipe,
                          Propagation propagate = Propagation::kQuantized,
                          ComputeMode compute = ComputeMode::kModel) {
    const std::string target = (folder_ / std::to_string(++runs_)).string();
    QuantOptions options = {.recipe = std::move(recipe), .threads = 2};
    options.recipe.compute = compute;
    options.recipe.propagate = propagate;
    options.recipe.calibration_file = kGolden + "/calib.jsonl";
    SLIM_ASSIGN(const Checkpoint source, Checkpoint::Open(kGolden + "/models/" + model));
    SLIM_ASSIGN(const QuantPlan plan, PlanQuantization(source, options, SilentListener()));
    SLIM_TRY(Quantize(source, plan, options, target, {.fsync = false}, SilentListener()));
    return target;
  }

 private:
  fs::path folder_;
  int runs_ = 0;
};

Recipe Linear(Scheme scheme, std::vector<std::string> exclude) {
  LinearStep step;
  step.settings = SettingsOf(scheme);
  step.names.exclude = std::move(exclude);
  Recipe recipe;
  recipe.process.push_back({{std::move(step)}});
  return recipe;
}

Recipe Smoothed(Scheme scheme, SmoothMethod method, std::optional<double> alpha = std::nullopt,
                bool symmetric = true) {
  Recipe recipe = Linear(scheme, scheme == Scheme::kW8A8 ? std::vector<std::string>{"*down_proj*"}
                                                         : std::vector<std::string>());
  SmoothStep step;
  step.method = method;
  step.alpha = alpha;
  step.symmetric = symmetric;
  recipe.process.insert(recipe.process.begin(), {{std::move(step)}});
  return recipe;
}

double SumOfMagnitudes(const Tensor& tensor) {
  double sum = 0;
  for (uint64_t i = 0; i < tensor.elements(); ++i)
    sum += std::fabs(ElementAsDouble(tensor.view(), i));
  return sum;
}

// Scales within 1e-5 in block 0, whose inputs are the same, and within 1e-3 behind it; one code in
// a thousand may differ by one.
void ExpectGolden(const std::string& recipe, const std::string& output) {
  const Checkpoint checkpoint = Checkpoint::Open(output).value();
  std::ifstream golden(kGolden + "/calibrated.tsv");
  size_t compared = 0;
  for (std::string line; std::getline(golden, line);) {
    std::istringstream fields(line);
    std::string name;
    std::string tensor;
    double sum = 0;
    double elements = 0;
    fields >> name >> tensor >> sum >> elements;
    if (name != recipe) continue;
    ++compared;
    const TensorEntry* entry = checkpoint.Find(tensor);
    ASSERT_NE(entry, nullptr) << recipe << " " << tensor;
    const double found = SumOfMagnitudes(checkpoint.Read(*entry).value());
    if (entry->dtype == DType::kI8) {
      EXPECT_NEAR(found, sum, elements / 1000) << recipe << " " << tensor;
    } else if (tensor.ends_with("_offset")) {
      EXPECT_NEAR(found, sum, 1) << recipe << " " << tensor;
    } else {
      const bool first = tensor.find(".layers.0.") != std::string::npos;
      EXPECT_NEAR(found, sum, sum * (first ? 1e-5 : 1e-3)) << recipe << " " << tensor;
    }
  }
  EXPECT_GE(compared, 18U) << recipe;
}

TEST_F(Calibrated, OutputsAreMsModelSlims) {
  Recipe cached = Linear(Scheme::kW8A8, {"*down_proj*"});
  cached.process.push_back({{KvCacheStep()}});
  const std::pair<const char*, Recipe> cases[] = {
      {"w8a8-static", Linear(Scheme::kW8A8, {"*down_proj*"})},
      {"w8a8-smooth-static", Smoothed(Scheme::kW8A8, SmoothMethod::kIter)},
      {"w8a8-smooth05-static", Smoothed(Scheme::kW8A8, SmoothMethod::kIter, 0.5)},
      {"w8a8-smooth-dynamic", Smoothed(Scheme::kW8A8Dynamic, SmoothMethod::kIter)},
      {"w8a8-smoothquant-static", Smoothed(Scheme::kW8A8, SmoothMethod::kSmoothQuant)},
      {"w8a8-smoothasym-static", Smoothed(Scheme::kW8A8, SmoothMethod::kIter, std::nullopt, false)},
      {"w8a8-flex-static", Smoothed(Scheme::kW8A8, SmoothMethod::kFlex)},
      {"w8a8-c8", std::move(cached)},
  };
  for (const auto& [name, recipe] : cases) {
    const auto output = Run("mini-qwen2-float32", recipe);
    ASSERT_TRUE(output.ok()) << name << ": " << output.error().ToString();
    ExpectGolden(name, *output);
  }
}

// Every pair kind, steps in a row, every way of choosing ranges: the output passes slim-verify,
// which Quantize asks, whatever runs before.
TEST_F(Calibrated, EveryStepGivesAValidCheckpoint) {
  std::vector<Recipe> recipes;
  for (const SmoothMethod method :
       {SmoothMethod::kIter, SmoothMethod::kFlex, SmoothMethod::kFlexAwqSsz}) {
    recipes.push_back(Smoothed(Scheme::kW8A8, method));
  }
  for (const ActivationMethod method : {ActivationMethod::kHistogram, ActivationMethod::kPercentile,
                                        ActivationMethod::kAuto, ActivationMethod::kOutput}) {
    Recipe recipe = Smoothed(Scheme::kW8A8, SmoothMethod::kIter);
    std::get<LinearStep>(recipe.process[1].steps[0]).settings.activation.method = method;
    recipe.process.push_back({{KvSmoothStep()}});
    recipe.process.push_back({{KvCacheStep()}});
    recipes.push_back(std::move(recipe));
  }
  Recipe rotated = Smoothed(Scheme::kW8A8Dynamic, SmoothMethod::kIter);
  rotated.process.insert(rotated.process.begin(), {{RotationStep()}});
  recipes.push_back(std::move(rotated));
  Recipe prior = Linear(Scheme::kW8A8, {"*down_proj*"});
  prior.prior.push_back({{{{SmoothStep()}}}, kGolden + "/held-out-text.txt"});
  recipes.push_back(std::move(prior));
  for (size_t i = 0; i < recipes.size(); ++i) {
    const Propagation propagate = i % 2 == 0 ? Propagation::kFloat : Propagation::kQuantized;
    const auto output = Run("mini-qwen3-float16", recipes[i], propagate, ComputeMode::kFp32);
    EXPECT_TRUE(output.ok()) << DumpJson(RecipeJson(recipes[i])) << output.error().ToString();
  }
}

}  // namespace
}  // namespace slim
