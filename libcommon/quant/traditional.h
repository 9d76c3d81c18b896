// The settings of msModelSlim's traditional scripts (quant_qwen.py, quant_llama.py, …) and of
// modelslim_v0 recipes, which name the same things, and the Recipe they stand for here (facts:
// algorithms.md 1.7, 2.8, 3.8; source document S004). Outlier methods whose code is closed are
// stood in for by one of ours, and a note says so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "quant/recipe.h"
#include "quant/yaml_section.h"

namespace slim {

struct TraditionalSettings {
  int64_t w_bit = 8;
  int64_t a_bit = 8;
  int64_t act_method = 1;            // 1 min-max, 2 histogram, 3 either by layer
  std::string w_method = "MinMax";   // MinMax, HQQ, GPTQ
  std::string anti_method;           // m1 to m6; empty: none
  std::optional<double> flex_alpha;  // m6
  std::optional<double> flex_beta;
  bool w_sym = true;
  bool is_dynamic = false;
  bool pdmix = false;
  bool use_kvcache_quant = false;
  bool kv_sym = true;
  bool use_fa_quant = false;
  bool is_lowbit = false;
  bool open_outlier = true;  // false with 4-bit weights: groups of group_size
  bool co_sparse = false;
  bool use_sigma = false;
  double sigma_factor = 3.0;
  double fraction = 0.01;
  int64_t group_size = 64;
  double percdamp = 0.01;
  bool rotate = false;  // as quarot, before all else
  bool disable_last_linear = true;
  std::vector<std::string> disable_names;       // stay float
  std::vector<std::string> disable_anti_names;  // are not smoothed
  // Globs and types ("float", "w8a8_dynamic"); the first that matches a linear decides.
  std::vector<std::pair<std::string, std::string>> mix_cfg;
  std::string calib_file;
  std::string anti_file;  // another text for smoothing
  Dialect layout = Dialect::kAscendV1V0;
  uint64_t part_size = 0;  // bytes; 0: one file
};

struct TraditionalRecipe {
  Recipe recipe;
  std::vector<std::string> notes;  // what stands in for closed code
};

// Errors: a combination that is no type, an unknown method (kUsage).
Result<TraditionalRecipe> RecipeOf(const TraditionalSettings& settings);

// `spec` of an apiversion modelslim_v0 recipe.
Result<Recipe> ReadTraditionalSpec(YamlSection& spec);

}  // namespace slim
