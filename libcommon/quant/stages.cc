#include "quant/stages.h"

#include <algorithm>

#include "base/glob.h"

namespace slim {
namespace {

Result<bool> MatchesAny(const std::vector<std::string>& patterns, std::string_view name) {
  SLIM_ASSIGN(GlobSet set, GlobSet::Compile(patterns));
  return set.Matches(name);
}

}  // namespace

std::vector<PassStages> PassesOf(const Recipe& recipe) {
  std::vector<PassStages> passes;
  size_t first = 0;
  const auto add = [&](const std::vector<RecipeUnit>& process, const std::string& file) {
    passes.push_back({file, StagesOf(process, recipe.propagate, first)});
    for (const RecipeUnit& unit : process) first += unit.steps.size();
  };
  for (const PriorPass& pass : recipe.prior) {
    add(pass.process,
        pass.calibration_file.empty() ? recipe.calibration_file : pass.calibration_file);
  }
  add(recipe.process, recipe.calibration_file);
  return passes;
}

std::vector<Stage> StagesOf(const std::vector<RecipeUnit>& process, Propagation propagate,
                            size_t first_index) {
  std::vector<Stage> stages;
  size_t index = first_index;
  bool joinable = false;  // the last stage takes further steps
  for (const RecipeUnit& unit : process) {
    bool first = true;
    for (const RecipeStep& step : unit.steps) {
      const StageStep item{index++, &step};
      if (std::holds_alternative<RotationStep>(step)) continue;
      const bool alone =
          std::holds_alternative<SmoothStep>(step) || std::holds_alternative<KvSmoothStep>(step);
      const bool join = propagate == Propagation::kQuantized ? !first : joinable && !alone;
      if (!join || stages.empty()) stages.emplace_back();
      stages.back().steps.push_back(item);
      joinable = !alone;
      first = false;
    }
  }
  return stages;
}

bool NeedsRange(const LinearSettings& settings) {
  return settings.activation.dtype == CodeType::kInt8 &&
         (settings.activation.granularity == Granularity::kPerTensor ||
          settings.activation.granularity == Granularity::kPdMix);
}

bool NeedsMomentMatrix(const LinearSettings& settings) {
  return settings.scheme == Scheme::kW16A16S || settings.weight.method == WeightMethod::kGptq;
}

bool NeedsMoments(const LinearSettings& settings) {
  return NeedsMomentMatrix(settings) || settings.weight.method == WeightMethod::kAwq;
}

bool SearchesTokens(const SmoothStep& step) {
  return step.method != SmoothMethod::kIter && step.method != SmoothMethod::kSmoothQuant;
}

bool NeedsValues(const ActivationSettings& activation) {
  return activation.method != ActivationMethod::kMinMax;
}

Result<bool> Selects(const NameFilter& filter, std::string_view name) {
  SLIM_ASSIGN(const bool included, MatchesAny(filter.include, name));
  SLIM_ASSIGN(const bool excluded, MatchesAny(filter.exclude, name));
  return included && !excluded;
}

}  // namespace slim
