// Calibrated recipes of every kind of step through the whole pipeline. What msModelSlim wrote of
// the same recipes is compared in tests/golden_recipes_test.py.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

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

  Result<std::string> Run(const std::string& model, Recipe recipe, Propagation propagate) {
    const std::string target = (folder_ / std::to_string(++runs_)).string();
    QuantOptions options = {.recipe = std::move(recipe), .threads = 2};
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

Recipe Smoothed(Scheme scheme, SmoothMethod method) {
  Recipe recipe = Linear(scheme, scheme == Scheme::kW8A8 ? std::vector<std::string>{"*down_proj*"}
                                                         : std::vector<std::string>());
  SmoothStep step;
  step.method = method;
  recipe.process.insert(recipe.process.begin(), {{std::move(step)}});
  return recipe;
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
    const auto output = Run("mini-qwen3-float16", recipes[i], propagate);
    EXPECT_TRUE(output.ok()) << DumpJson(RecipeJson(recipes[i])) << output.error().ToString();
  }
}

}  // namespace
}  // namespace slim
