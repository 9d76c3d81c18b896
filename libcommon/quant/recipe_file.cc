#include "quant/recipe_file.h"

#include <fmt/format.h>

#include "base/text.h"
#include "os/file.h"

namespace slim {
namespace {

constexpr uint64_t kMaxRecipe = 1ULL << 20;

bool NeedsText(const RecipeStep& step) {
  const auto* linear = std::get_if<LinearStep>(&step);
  if (linear == nullptr) return !std::holds_alternative<RotationStep>(step);
  const LinearSettings& settings = linear->settings;
  const bool observed = settings.activation.dtype != CodeType::kFloat &&
                        (settings.activation.granularity == Granularity::kPerTensor ||
                         settings.activation.granularity == Granularity::kPdMix);
  return observed || settings.weight.method == WeightMethod::kGptq ||
         settings.weight.method == WeightMethod::kAwq;
}

bool NeedsText(const std::vector<RecipeUnit>& process) {
  for (const RecipeUnit& unit : process) {
    for (const RecipeStep& step : unit.steps) {
      if (NeedsText(step)) return true;
    }
  }
  return false;
}

Status Resolve(const std::string& recipe_path, std::string& dataset, Listener& listener) {
  if (dataset.empty()) return {};
  for (const std::string& path : {dataset, JoinPath(DirectoryName(recipe_path), dataset)}) {
    const FileKind kind = KindOf(path);
    if (kind != FileKind::kRegular && kind != FileKind::kDirectory) continue;
    dataset = path;
    return {};
  }
  if (dataset.find('/') != std::string::npos) {
    return InputError("IN-missing",
                      fmt::format("dataset {} of the recipe does not exist", Quote(dataset)),
                      "--calib FILE names another")
        .WithPath(recipe_path);
  }
  listener.Note(
      fmt::format("dataset {} of the recipe is not here: the set that ships with slim "
                  "takes its place where one is needed, --calib FILE names another",
                  Quote(dataset)));
  dataset.clear();
  return {};
}

}  // namespace

Result<RecipeFile> ReadRecipeFile(const std::string& path) {
  SLIM_ASSIGN(const std::string text, ReadWholeFile(path, kMaxRecipe));
  return ParseRecipe(text, path);
}

Status ResolveDatasets(const std::string& recipe_path, Recipe& recipe, Listener& listener) {
  for (PriorPass& pass : recipe.prior) {
    if (!NeedsText(pass.process)) pass.calibration_file.clear();
    SLIM_TRY(Resolve(recipe_path, pass.calibration_file, listener));
  }
  if (!NeedsText(recipe.process)) recipe.calibration_file.clear();
  return Resolve(recipe_path, recipe.calibration_file, listener);
}

}  // namespace slim
