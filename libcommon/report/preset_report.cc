#include "report/preset_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "base/version.h"

namespace slim {

std::string PresetsText(const std::vector<Preset>& presets) {
  size_t width = 0;
  for (const Preset& preset : presets) width = std::max(width, preset.name.size());
  std::string out;
  for (const Preset& preset : presets) {
    const RecipeMetadata& metadata = preset.file.metadata;
    const std::string models = metadata.verified_model_types.empty()
                                   ? "any model"
                                   : Join(metadata.verified_model_types, " ");
    out += fmt::format("{:<{}}  {:<8}  {}\n", preset.name, width, QuantTypeOf(metadata), models);
  }
  return out;
}

Json PresetsJson(const std::vector<Preset>& presets) {
  Json list = Json::Array();
  for (const Preset& preset : presets) {
    const RecipeMetadata& metadata = preset.file.metadata;
    Json models = Json::Array();
    for (const std::string& model : metadata.verified_model_types) models.Push(model);
    Json item = Json::Object();
    item.Set("name", preset.name).Set("quant_type", QuantTypeOf(metadata));
    item.Set("model_types", std::move(models)).Set("path", preset.path);
    list.Push(std::move(item));
  }
  Json json = Json::Object();
  json.Set("tool", "slim-quant").Set("version", kVersion).Set("kind", "presets");
  return json.Set("presets", std::move(list));
}

}  // namespace slim
