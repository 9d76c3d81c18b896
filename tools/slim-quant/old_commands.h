// Command lines of other programs that slim-quant takes as they are: msModelSlim's traditional
// scripts (source documents S003, S004) and the ATB models' generate_quant_weight.sh (S000).
#pragma once

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/console.h"
#include "quant/recipe.h"

namespace slim {

bool IsTraditional(const Arguments& arguments);
// The layout is ascendv1-v0, or mindie; names given replace those that stay float by model type.
Result<Recipe> ReadTraditional(const Arguments& arguments, Console& console);

bool IsAtbScript(const Arguments& arguments);
// -src MODEL -dst OUT -type llama2_13b_w8a8: the type is what follows the model's name; layout
// mindie.
Result<Recipe> ReadAtbScript(const Arguments& arguments);

// Notes flags that were given and mean nothing here.
void NoteMeaningless(const Arguments& arguments, Console& console,
                     std::span<const std::string_view> flags);

}  // namespace slim
