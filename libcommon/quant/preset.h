// The recipes that ship with slim (share/slim/presets) and how one is found by model, type and
// tags, as msModelSlim finds its own (facts: algorithms.md 1.2). Where msModelSlim asks the user
// whether a second choice will do, the choice is made and said in a note; another type than the
// one asked for is never taken. Each preset is a recipe a user can copy and edit.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "quant/recipe_yaml.h"

namespace slim {

struct Preset {
  std::string name;  // "qwen3-w8a8": the file's name without .yaml
  std::string path;
  RecipeFile file;
};

// All of them, by name. Errors: the folder is missing (IN-missing), one does not parse.
Result<std::vector<Preset>> LoadPresets();

struct PresetChoice {
  const Preset* preset = nullptr;
  std::string note;  // why it was taken: "preset qwen3-w8a8 for Qwen3-8B"
};

// `quant_type` in msModelSlim's words: w8a8, w4a8c8, w8a8s, w8a8f8. `model_type` may be empty.
// Errors (kUsage): no such type, or no preset of that type.
Result<PresetChoice> ChoosePreset(const std::vector<Preset>& presets, std::string_view model_type,
                                  std::string_view quant_type,
                                  const std::vector<std::string>& tags);

// By name; the error names near ones.
Result<const Preset*> FindPreset(const std::vector<Preset>& presets, std::string_view name);

// The type of a label in those words: "w8a8c8".
std::string QuantTypeOf(const RecipeMetadata& metadata);

}  // namespace slim
