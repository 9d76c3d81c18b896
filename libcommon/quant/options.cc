#include "quant/options.h"

namespace slim {

Recipe RecipeOf(const QuantFlags& flags) {
  Recipe recipe;
  recipe.layout = flags.layout;
  recipe.compute = flags.compute;
  recipe.propagate = flags.propagate;
  recipe.part_size = flags.part_size;
  recipe.calibration_file = flags.calibration_file;
  if (flags.smooth) {
    SmoothStep smooth;
    smooth.method = *flags.smooth;
    smooth.alpha = flags.alpha;
    smooth.pairs = flags.pairs;
    smooth.symmetric = flags.symmetric_smooth;
    recipe.process.push_back({{std::move(smooth)}});
  }
  LinearStep linear;
  linear.settings = SettingsOf(flags.type);
  linear.settings.activation.method = flags.activation_method;
  linear.settings.activation.aggregation = flags.aggregation;
  linear.names.exclude = flags.float_names;
  linear.readmit = flags.quantize_names;
  linear.whole_model = true;
  recipe.process.push_back({{std::move(linear)}});
  if (flags.kv_cache) recipe.process.push_back({{KvCacheStep()}});
  return recipe;
}

std::vector<Scheme> QuantizableTypes() {
  return {Scheme::kW8A8, Scheme::kW8A8Dynamic, Scheme::kW8A16};
}

std::vector<std::string> DefaultFloatNames(Scheme type) {
  if (type == Scheme::kW8A8) return {"*down_proj", "lm_head"};
  return {"lm_head"};
}

std::optional<SmoothMethod> DefaultSmooth(Scheme type) {
  if (type == Scheme::kW8A16) return std::nullopt;
  return SmoothMethod::kIter;
}

}  // namespace slim
