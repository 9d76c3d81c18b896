#include "quant/preset.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/glob.h"
#include "base/text.h"
#include "os/file.h"
#include "os/install.h"

namespace slim {
namespace {

constexpr std::string_view kAnchor = "presets/default-w8a8.yaml";
constexpr std::string_view kDefaultPrefix = "default-";

enum class Fit : uint8_t { kNo, kStandby, kMatch };

// Tags of one scenario must hold every tag asked for, whatever their case.
bool Covers(const std::vector<std::string>& scenario, const std::vector<std::string>& tags) {
  return std::all_of(tags.begin(), tags.end(), [&](const std::string& tag) {
    return std::any_of(scenario.begin(), scenario.end(),
                       [&](const std::string& word) { return ToLower(word) == ToLower(tag); });
  });
}

bool NamesModel(const RecipeMetadata& metadata, std::string_view model) {
  return std::any_of(metadata.verified_model_types.begin(), metadata.verified_model_types.end(),
                     [&](const std::string& pattern) {
                       const auto glob = Glob::Compile(pattern);
                       return glob.ok() && glob->Matches(model);
                     });
}

Fit FitOf(const RecipeMetadata& metadata, std::string_view model,
          const std::vector<std::string>& tags) {
  for (const auto& [name, scenarios] : metadata.verified_tags) {
    if (name != model || tags.empty()) continue;
    const bool covered = std::any_of(scenarios.begin(), scenarios.end(),
                                     [&](const auto& scenario) { return Covers(scenario, tags); });
    return covered ? Fit::kMatch : Fit::kStandby;
  }
  if (!NamesModel(metadata, model)) return Fit::kNo;
  return tags.empty() ? Fit::kMatch : Fit::kStandby;
}

}  // namespace

Result<std::vector<Preset>> LoadPresets() {
  SLIM_ASSIGN(const std::string anchor, FindInstalledFile(kAnchor));
  const std::string folder = DirectoryName(anchor);
  SLIM_ASSIGN(const std::vector<DirectoryEntry> entries, ListDirectory(folder));
  std::vector<Preset> presets;
  for (const DirectoryEntry& entry : entries) {
    if (entry.kind != FileKind::kRegular || !entry.name.ends_with(".yaml")) continue;
    Preset preset;
    preset.name = entry.name.substr(0, entry.name.size() - 5);
    preset.path = JoinPath(folder, entry.name);
    SLIM_ASSIGN(const std::string text, ReadWholeFile(preset.path, 1ULL << 20));
    SLIM_ASSIGN(preset.file, ParseRecipe(text, preset.path));
    presets.push_back(std::move(preset));
  }
  return presets;
}

std::string QuantTypeOf(const RecipeMetadata& metadata) {
  std::string type = fmt::format("w{}a{}", metadata.w_bit, metadata.a_bit);
  if (metadata.kv_cache) type += "c8";
  if (metadata.fa_bit != 0) type += fmt::format("f{}", metadata.fa_bit);
  if (metadata.is_sparse) type += "s";
  return type;
}

Result<PresetChoice> ChoosePreset(const std::vector<Preset>& presets, std::string_view model_type,
                                  std::string_view quant_type,
                                  const std::vector<std::string>& tags) {
  const std::string type = ToLower(quant_type);
  PresetChoice choice;
  Fit best = Fit::kNo;
  const Preset* fallback = nullptr;
  std::set<std::string> known;
  for (const Preset& preset : presets) {
    const RecipeMetadata& metadata = preset.file.metadata;
    known.insert(QuantTypeOf(metadata));
    if (QuantTypeOf(metadata) != type) continue;
    if (preset.name.starts_with(kDefaultPrefix)) fallback = &preset;
    const Fit fit = model_type.empty() ? Fit::kNo : FitOf(metadata, model_type, tags);
    const bool better = fit > best || (fit == best && fit != Fit::kNo &&
                                       metadata.score > choice.preset->file.metadata.score);
    if (!better) continue;
    best = fit;
    choice.preset = &preset;
  }
  if (choice.preset == nullptr) choice.preset = fallback;
  if (choice.preset == nullptr) {
    return UsageError(fmt::format("no preset makes type {}", Quote(quant_type)),
                      "known: " + Join({known.begin(), known.end()}, ", "));
  }
  const std::string model = model_type.empty() ? "no model type" : Quote(model_type);
  choice.note = fmt::format("preset {}", choice.preset->name);
  if (best == Fit::kNo) choice.note += fmt::format(": none is for {}, this is the default", model);
  if (best == Fit::kStandby)
    choice.note += fmt::format(": it is for {}, but not verified with {}", model, Join(tags, ", "));
  if (best == Fit::kMatch) choice.note += fmt::format(" for {}", model);
  return choice;
}

Result<const Preset*> FindPreset(const std::vector<Preset>& presets, std::string_view name) {
  std::vector<std::string> names;
  for (const Preset& preset : presets) {
    if (preset.name == name) return &preset;
    names.push_back(preset.name);
  }
  const std::string near = NearestSpelling(name, names);
  return UsageError(fmt::format("no preset is called {}", Quote(name)),
                    near.empty() ? "slim-quant --list-presets names them"
                                 : fmt::format("did you mean {}?", near));
}

}  // namespace slim
