// The recipes that ship with slim, listed for people and as JSON
// (schemas/quant_presets.schema.json).
#pragma once

#include <string>
#include <vector>

#include "json/json.h"
#include "quant/preset.h"

namespace slim {

// A line a preset: name, type, the models it is for.
std::string PresetsText(const std::vector<Preset>& presets);
Json PresetsJson(const std::vector<Preset>& presets);

}  // namespace slim
