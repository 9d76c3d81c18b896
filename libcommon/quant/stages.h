// A recipe as the stages of one decoder block: which steps share one pass of the calibration
// samples through the block, and which of them need one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "quant/recipe.h"

namespace slim {

struct StageStep {
  size_t index = 0;  // among all steps of the process, units in order
  const RecipeStep* step = nullptr;
};

struct Stage {
  std::vector<StageStep> steps;
};

// The stages of one calibration text: a prior pass of the recipe, or the main one.
struct PassStages {
  std::string calibration_file;  // empty: the set that ships
  std::vector<Stage> stages;
};

// Prior passes first, the main one last; steps are counted through. Prior passes walk the blocks
// beside the main one, each with its own samples. `recipe` must outlive the stages.
std::vector<PassStages> PassesOf(const Recipe& recipe);

// kQuantized: one stage a unit, as msModelSlim runs them. kFloat: smoothing steps alone, because
// later steps must see what they changed; other neighbours together. `process` must outlive the
// stages. Rotation is no stage: it happens before the first.
// `first` is the index of the first step.
std::vector<Stage> StagesOf(const std::vector<RecipeUnit>& process, Propagation propagate,
                            size_t first = 0);

// Settings that need something of the calibration text: static ranges, second moments, means.
bool NeedsRange(const LinearSettings& settings);
// Between channels, [k, k], not of each channel alone.
bool NeedsMomentMatrix(const LinearSettings& settings);
bool NeedsMoments(const LinearSettings& settings);  // gptq, awq: the inputs' second moments
inline bool NeedsCalibration(const LinearSettings& settings) {
  return NeedsRange(settings) || NeedsMoments(settings) || settings.weight.bias_correction;
}

// The search compares products of the calibration inputs themselves.
bool SearchesTokens(const SmoothStep& step);
// The static range follows from the values, not from the ends of each channel.
bool NeedsValues(const ActivationSettings& activation);

// `name` is in `include` and not in `exclude`. Errors: a glob that expands too far.
Result<bool> Selects(const NameFilter& filter, std::string_view name);

}  // namespace slim
