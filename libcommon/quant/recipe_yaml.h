// Recipes in YAML, as msModelSlim reads them: apiversion modelslim_v1, modelslim_v0 (the
// traditional settings in a file) and the data-free modelslim_convert (facts: algorithms.md 1.3 to
// 1.7). A file becomes a Recipe; what slim cannot do is refused with file, line and key. Touches no
// file system; man page slim-recipe.5.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "quant/recipe.h"

namespace slim {

// metadata of a recipe: what --model_type, --quant_type and --tag are looked up in.
struct RecipeMetadata {
  std::string config_id;
  double score = 100;
  int64_t w_bit = 0;  // of label; 0: not given
  int64_t a_bit = 0;
  int64_t fa_bit = 0;
  bool is_sparse = false;
  bool kv_cache = false;
  std::vector<std::string> verified_model_types;
  // By model type: lists of tags, one a scenario.
  std::vector<std::pair<std::string, std::vector<std::vector<std::string>>>> verified_tags;
};

struct RecipeFile {
  Recipe recipe;  // calibration_file as written: a name or a path
  RecipeMetadata metadata;
};

// `source` is the file's name for errors (rules YAML-… and RECIPE-…).
Result<RecipeFile> ParseRecipe(std::string_view text, const std::string& source);

}  // namespace slim
