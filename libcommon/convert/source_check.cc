#include "convert/source_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "checkpoint/dialects/golden_stick.h"
#include "checkpoint/dialects/mindie_parts.h"
#include "kernels/convert.h"

namespace slim {
namespace {

struct WeightFamily {
  std::string_view prefix;
  std::string_view ending;
  std::string_view dialects;
};
constexpr std::string_view kFloat = "hf";
constexpr WeightFamily kFamilies[] = {
    {"quant_model_weights", ".safetensors", "ascendv1"},
    {"quant_model_weight_", ".safetensors", "ascendv1-v0 or mindie"},
    {"quant-model-", ".safetensors", "golden-stick"},
    {"model", ".safetensors", kFloat},
    {"quant_weight", ".npy", "npy"},
};

std::string_view DialectOf(const DirectoryEntry& entry) {
  if (entry.kind == FileKind::kDirectory)
    return ParsePartDirectory(entry.name) ? TraitsOf(Dialect::kMindIEParts).name : "";
  const auto* family = std::ranges::find_if(kFamilies, [&](const WeightFamily& candidate) {
    return entry.name.starts_with(candidate.prefix) && entry.name.ends_with(candidate.ending);
  });
  return family == std::end(kFamilies) ? "" : family->dialects;
}

Error Mixed(const std::string& path, std::string_view what, const std::vector<std::string>& found) {
  return InputError("CV-mixed-dialects",
                    fmt::format("holds {} of several dialects: {}", what, Join(found, ", ")),
                    "move one of them to a directory of its own")
      .WithPath(path);
}

// Integers and FP8 below a name that says weight, and the parts that only quantized layers have.
bool IsQuantizedPart(const TensorEntry& entry) {
  const std::string_view suffix = SplitTensorName(entry.name).suffix;
  const auto role = ParseRole(suffix);
  if (role && *role != Role::kWeight && *role != Role::kBias) return true;
  return suffix.find("weight") != suffix.npos && !CanConvertFromFloat(entry.dtype);
}

}  // namespace

Status CheckOneDialect(std::span<const DirectoryEntry> listing, const std::string& path,
                       bool repairs) {
  std::vector<std::string_view> dialects;
  std::vector<std::string> found;
  for (const DirectoryEntry& entry : listing) {
    const std::string_view dialect = DialectOf(entry);
    if (repairs && dialect == kFloat) continue;
    if (dialect.empty() || std::ranges::find(dialects, dialect) != dialects.end()) continue;
    dialects.push_back(dialect);
    found.push_back(fmt::format("{} ({})", dialect, Quote(entry.name)));
  }
  if (found.size() < 2) return {};
  return Mixed(path, "weights", found);
}

Status CheckOneDescription(std::span<const DirectoryEntry> listing, const std::string& path) {
  std::vector<std::string> found;
  for (const DirectoryEntry& entry : listing) {
    const std::string& name = entry.name;
    if (entry.kind == FileKind::kDirectory || !name.ends_with(".json")) continue;
    if (!name.starts_with("quant_model_description") && name != kGoldenStickDescription) continue;
    found.push_back(Quote(name));
  }
  if (found.size() < 2) return {};
  return Mixed(path, "descriptions", found);
}

Status CheckLabelled(const Checkpoint& source) {
  const bool is_float = source.dialect() == Dialect::kHf || source.dialect() == Dialect::kTorchBin;
  if (!is_float) return {};
  const auto part = std::ranges::find_if(source.tensors(), IsQuantizedPart);
  if (part == source.tensors().end()) return {};
  return InputError(
             "DE-missing",
             fmt::format("belongs to a quantized layer ({}), and nothing says of which type: no "
                         "quant_model_description*.json, no {}, and no quantization_config in "
                         "config.json",
                         DTypeName(part->dtype), kGoldenStickDescription),
             "copy them from where the checkpoint was made")
      .WithTensor(part->name)
      .WithPath(source.path());
}

}  // namespace slim
