// Rules about the quant description: entries against tensors, labels, globals.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <unordered_set>

#include "base/text.h"
#include "verify/context.h"

namespace slim {
namespace {

using rule_table::kOnAscendV1;
using rule_table::kOnAscendV1V0;
using rule_table::kOnMindIE;
constexpr DialectSet kTraditional = kOnAscendV1V0 | kOnMindIE;

// Which writers use a label (facts: formats.md 3.4, 4.3; the mindie row joins M0 and M1).
struct LabelRow {
  std::string_view label;
  DialectSet dialects;
};
constexpr std::array<LabelRow, 25> kLabels = {{
    {"FLOAT", kOnAscendV1 | kTraditional},
    {"W8A8", kOnAscendV1 | kTraditional},
    {"W8A8_DYNAMIC", kOnAscendV1 | kTraditional},
    {"W8A8_MIX", kOnAscendV1 | kTraditional},
    {"W8A16", kOnAscendV1 | kTraditional},
    {"W4A8_DYNAMIC", kOnAscendV1 | kTraditional},
    {"C8", kOnAscendV1 | kTraditional},
    {"FAQuant", kOnAscendV1 | kTraditional},
    {"FAKQuant", kOnAscendV1 | kTraditional},
    {"W16A16S", kOnAscendV1 | kTraditional},
    {"W4A4_FLATQUANT_DYNAMIC", kOnAscendV1 | kTraditional},
    {"W4A4_DYNAMIC", kOnAscendV1},
    {"WFP8AFP8_DYNAMIC", kOnAscendV1},
    {"W4A8_MXFP", kOnAscendV1},
    {"W8A8_MXFP8", kOnAscendV1 | kOnMindIE},
    {"W4A4_MXFP4", kOnAscendV1 | kOnMindIE},
    {"W4A4_MXFP4_DUALSCALE", kOnAscendV1 | kOnMindIE},
    {"FLOAT_FLATQUANT", kOnAscendV1},
    {"UNKNOWN", kTraditional},
    {"W4A16", kTraditional},
    {"W8A8S", kTraditional},
    {"W8A8SC", kTraditional},
    {"W16A16SC", kTraditional},
    {"NF4", kTraditional},
    {"W8A8_TIMESTEP", kTraditional},
}};

// The dialects whose writers use the label; 0 when nobody does.
DialectSet DialectsOfLabel(std::string_view label) {
  for (const LabelRow& row : kLabels) {
    if (row.label == label) return row.dialects;
  }
  // FlatQuant and SVD wrap any type of the one-click writers.
  return MeaningOf(label) ? kOnAscendV1 | kOnMindIE : DialectSet{0};
}

std::string DescriptionPath(const VerifyContext& context) {
  return JoinPath(context.checkpoint().path(), context.checkpoint().guess().description_file);
}

// Rotations of the one-click writer's QuaRot have tensors, but no entries (formats.md 3.1).
bool IsUndescribed(std::string_view name) {
  const std::string_view suffix = SplitTensorName(name).suffix;
  return suffix == "heads_rotation" || suffix == "kronecker_rotation_m" ||
         suffix == "kronecker_rotation_n";
}

void CheckEntries(VerifyContext& context) {
  const Checkpoint& checkpoint = context.checkpoint();
  const std::string path = DescriptionPath(context);
  for (const TensorEntry& entry : checkpoint.tensors()) {
    if (context.layers().LabelOf(entry) != nullptr || IsUndescribed(entry.name)) continue;
    context.Report("DE-missing-entry", {.tensor = entry.name,
                                        .message = "is in the weights, the description has no "
                                                   "entry",
                                        .path = path});
  }
  if (context.incomplete()) return;  // the tensor may be in the file that could not be read
  for (const QuantDescription::Entry* entry : context.layers().without_tensor()) {
    context.Report(
        "DE-missing-tensor",
        {.tensor = entry->key,
         .found = entry->label,
         .message = fmt::format("is described as {}, no weight file has it", Quote(entry->label)),
         .path = path});
  }
}

void CheckLabelWords(VerifyContext& context) {
  const std::string path = DescriptionPath(context);
  const DialectSet bit = rule_table::On(context.checkpoint().dialect());
  std::set<std::string_view> good;
  std::set<std::string_view> foreign;
  std::vector<std::string> known;
  for (const LabelRow& row : kLabels) known.emplace_back(row.label);
  for (const QuantDescription::Entry& entry : context.description()->entries()) {
    if (!entry.is_tensor || good.contains(entry.label)) continue;
    const DialectSet dialects = DialectsOfLabel(entry.label);
    if ((dialects & bit) != 0) {
      good.insert(entry.label);
      continue;
    }
    if (dialects != 0) {
      if (!foreign.insert(entry.label).second) continue;
      context.Report(
          "DE-foreign-label",
          {.tensor = entry.key,
           .found = entry.label,
           .message = fmt::format("has the label {}, which writers of {} do not use",
                                  Quote(entry.label), context.checkpoint().traits().name),
           .path = path});
      continue;
    }
    const std::string nearest = NearestSpelling(ToUpper(entry.label), known);
    context.Report("DE-unknown-label",
                   {.tensor = entry.key,
                    .found = entry.label,
                    .wanted = nearest,
                    .message = fmt::format("has the unknown label {}{}", Quote(entry.label),
                                           nearest.empty() ? "" : ", did you mean " + nearest),
                    .path = path});
  }
}

// What a tensor beside the weight may be labelled (formats.md 3.3, 4, 5.3, 7.4).
bool MayStandBeside(std::string_view suffix, std::string_view label, std::string_view weight) {
  if (label == weight) return true;
  if (suffix == "bias") return label == "FLOAT" || label == "FLOAT_FLATQUANT";
  if (suffix.starts_with("kv_cache_")) return label == "C8";
  // Compression relabels the weight only; rotations and smoothing factors stay float.
  if (weight == "W8A8SC") return label == "W8A8S";
  if (weight == "W16A16SC") return label == "W16A16S";
  return label == "FLOAT" && !ParseRole(suffix);
}

// One finding a label that is no type at all.
void CheckGoldenStickLabels(VerifyContext& context) {
  std::set<std::string_view> seen;
  for (const QuantDescription::Entry& entry : context.description()->entries()) {
    if (!entry.is_tensor || MeaningOf(entry.label) || !seen.insert(entry.label).second) continue;
    context.Report("DE-unknown-label",
                   {.tensor = entry.key,
                    .found = entry.label,
                    .message = fmt::format("has the unknown label {}", Quote(entry.label)),
                    .path = DescriptionPath(context)});
  }
}

void CheckLabelsOfLayers(VerifyContext& context) {
  const std::string path = DescriptionPath(context);
  for (const LayerTensors& layer : context.layers().layers()) {
    if (layer.label == nullptr) continue;
    const auto check = [&](const TensorEntry* entry) {
      if (entry == nullptr) return;
      const std::string* label = context.layers().LabelOf(*entry);
      if (label == nullptr) return;
      if (MayStandBeside(SplitTensorName(entry->name).suffix, *label, *layer.label)) return;
      // FlatQuant's own tensors take the last label of the wrapper (formats.md 4.2).
      if (label->find("_FLATQUANT") != std::string::npos) return;
      context.Report("DE-mixed-labels", {.tensor = entry->name,
                                         .found = *label,
                                         .wanted = *layer.label,
                                         .message = fmt::format("is labelled {}, its weight {}",
                                                                Quote(*label), Quote(*layer.label)),
                                         .path = path});
    };
    for (const TensorEntry* part : layer.parts) check(part);
    for (const TensorEntry* other : layer.others) check(other);
  }
}

void CheckVersion(VerifyContext& context) {
  const Json* version = context.description()->Global("version");
  if (version != nullptr && version->is_string()) return;
  context.Report("DE-version", {.found = version == nullptr ? "" : std::string(version->KindName()),
                                .wanted = "\"1.0.0\"",
                                .message = version == nullptr ? "'version' is not there"
                                                              : "'version' is no string",
                                .path = DescriptionPath(context)});
}

// The one-click writer's priority, lowest first (formats.md 3.3). Labels outside it are ignored.
constexpr std::array<std::string_view, 12> kPriority = {"FLOAT",
                                                        "W16A16S",
                                                        "W8A16",
                                                        "W8A8_DYNAMIC",
                                                        "W8A8_MIX",
                                                        "W8A8",
                                                        "WFP8AFP8_DYNAMIC",
                                                        "W8A8_MXFP8",
                                                        "W4A8_MXFP",
                                                        "W4A4_DYNAMIC",
                                                        "W4A4_MXFP4",
                                                        "W4A4_MXFP4_DUALSCALE"};

std::string_view ByPriority(const std::unordered_set<std::string_view>& labels) {
  std::string_view best = "FLOAT";
  for (const std::string_view label : kPriority) {
    if (labels.contains(label)) best = label;
  }
  return best;
}

void CheckModelQuantType(VerifyContext& context) {
  const std::string path = DescriptionPath(context);
  const std::string& type = context.quant_type();
  if (type.empty()) {
    context.Report("DE-model-quant-type",
                   {.message = "'model_quant_type' is not there, or no string", .path = path});
    return;
  }
  std::unordered_set<std::string_view> labels;
  std::string_view last;
  for (const QuantDescription::Entry& entry : context.description()->entries()) {
    // Most entries have the label of the one before.
    if (entry.is_tensor && entry.label != last) labels.insert(last = entry.label);
  }
  // S003's sample labels the layers of a W8A8S checkpoint W8A8SC.
  const bool sample = type == "W8A8S" && labels.contains("W8A8SC");
  if (labels.empty() || labels.contains(type) || sample) {
    // The one-click writer names the highest of several types; others name the configured one.
    if (!context.IsDialect(Dialect::kAscendV1) || labels.empty() || type == ByPriority(labels) ||
        type != "FLOAT")
      return;
  } else if (context.IsDialect(Dialect::kAscendV1) && type == ByPriority(labels)) {
    return;
  }
  const std::string wanted(ByPriority(labels));
  context.Report("DE-model-quant-type",
                 {.found = type,
                  .wanted = wanted,
                  .message = fmt::format(
                      "'model_quant_type' is {}, the layers are {}", Quote(type),
                      fmt::join(std::set<std::string_view>(labels.begin(), labels.end()), ", ")),
                  .path = path});
}

// The mindie writer labels the layers of a mixed type W8A8 (formats.md 13.4); only the arguments it
// keeps in config.json tell.
void CheckMixLabel(VerifyContext& context) {
  const Json* config = context.checkpoint().config();
  const Json* block = config == nullptr ? nullptr : config->Find("quantization_config");
  const Json* mix = block == nullptr || !block->is_object() ? nullptr : block->Find("pdmix");
  if (mix == nullptr || mix->AsBool() != true) return;
  const auto& entries = context.description()->entries();
  const auto labelled = [&](std::string_view label) {
    return std::ranges::find_if(entries, [&](const QuantDescription::Entry& entry) {
      return entry.is_tensor && entry.label == label;
    });
  };
  const auto first = labelled("W8A8");
  if (first == entries.end() || labelled("W8A8_MIX") != entries.end()) return;
  context.Report("DE-mix-label", {.tensor = first->key,
                                  .found = "W8A8",
                                  .wanted = "W8A8_MIX",
                                  .message = "is labelled W8A8, config.json says pdmix",
                                  .path = DescriptionPath(context)});
}

// "group_size" lives in the description, in mindie in config.json's quantization_config.
const Json* FindGroupSize(const VerifyContext& context) {
  if (const Json* value = context.description()->Global("group_size")) return value;
  const Json* config = context.checkpoint().config();
  const Json* block = config == nullptr ? nullptr : config->Find("quantization_config");
  return block == nullptr ? nullptr : block->Find("group_size");
}

void CheckGroupSize(VerifyContext& context) {
  const Json* value = FindGroupSize(context);
  const auto number = value == nullptr ? std::optional<int64_t>(0) : value->AsInteger();
  const std::string path = DescriptionPath(context);
  if (!number || *number < 0) {
    context.Report("DE-group-size", {.found = value->text(),
                                     .wanted = "an integer of at least 0",
                                     .message = "'group_size' is no integer of at least 0",
                                     .path = path});
    return;
  }
  for (const LayerTensors& layer : context.layers().layers()) {
    const TensorEntry* scale = layer[Role::kWeightScale];
    const TensorEntry* weight = layer[Role::kWeight];
    // Only where a code has a byte of its own is k the width of the weight.
    if (scale == nullptr || weight == nullptr || !layer.scheme || !HasInt8Codes(*layer.scheme) ||
        scale->shape.size() != 2 || weight->shape.size() != 2 || scale->shape[1] <= 1)
      continue;
    if (weight->shape[1] % scale->shape[1] != 0) continue;  // LIN-shape says so
    const uint64_t group = weight->shape[1] / scale->shape[1];
    if (group == static_cast<uint64_t>(*number)) continue;
    context.Report("DE-group-size",
                   {.tensor = scale->name,
                    .found = std::to_string(*number),
                    .wanted = std::to_string(group),
                    .message = fmt::format("'group_size' is {}, {} columns share a scale here",
                                           *number, group),
                    .path = path});
    return;  // one global, one finding
  }
}

void CheckKvCache(VerifyContext& context) {
  const auto& entries = context.description()->entries();
  const auto first =
      std::find_if(entries.begin(), entries.end(), [](const QuantDescription::Entry& entry) {
        return entry.is_tensor && entry.key.ends_with(".kv_cache_scale");
      });
  for (const std::string_view key : {"kv_cache_type", "kv_quant_type"}) {
    const Json* value = context.description()->Global(key);
    const bool c8 = value != nullptr && value->AsString() == "C8";
    if (c8 == (first != entries.end())) continue;
    // The mindie scripts keep kv_quant_type null in config.json and say nothing here.
    context.Report(
        "DE-kv-cache",
        {.tensor = first == entries.end() ? "" : std::string_view(first->key),
         .found = value == nullptr ? "" : value->text(),
         .wanted = c8 ? "" : "C8",
         .message = c8 ? fmt::format("'{}' is C8, no tensor is a kv_cache_scale", key)
                       : fmt::format("there are kv_cache_scale tensors, '{}' is not C8", key),
         .path = DescriptionPath(context)});
  }
}

void CheckNames(VerifyContext& context) {
  const Checkpoint& checkpoint = context.checkpoint();
  std::vector<std::string> names;
  for (const DirectoryEntry& file : checkpoint.listing()) {
    if (file.kind == FileKind::kRegular && file.name.starts_with("quant_model_description") &&
        file.name.ends_with(".json"))
      names.push_back(file.name);
  }
  if (names.size() > 1) {
    context.Report("DE-several", {.found = Join(names, ", "),
                                  .wanted = names.front(),
                                  .message = fmt::format("{} descriptions: {}", names.size(),
                                                         Join(names, ", "))});
  }
  const Json* quantize =
      checkpoint.config() == nullptr ? nullptr : checkpoint.config()->Find("quantize");
  if (quantize == nullptr || !quantize->is_string()) return;
  const std::string wanted = checkpoint.traits().description_name(ToLower(quantize->text()));
  if (checkpoint.HasFile(wanted)) return;
  context.Report(
      "DE-file-name",
      {.found = checkpoint.guess().description_file,
       .wanted = wanted,
       .message = fmt::format("'quantize' is {}, the description is called {}",
                              Quote(quantize->text()), Quote(checkpoint.guess().description_file)),
       .path = DescriptionPath(context)});
}

}  // namespace

void CheckDescription(VerifyContext& context) {
  if (context.IsDialect(Dialect::kMindIEParts)) return;  // each part has one
  if (context.IsDialect(Dialect::kGoldenStick)) {
    if (context.description() == nullptr) return;  // reported by CheckContainer
    CheckEntries(context);
    CheckGoldenStickLabels(context);
    return;
  }
  if (!context.checkpoint().traits().has_description) return;
  CheckNames(context);
  if (context.description() == nullptr) return;  // reported by CheckContainer
  CheckEntries(context);
  CheckLabelWords(context);
  CheckLabelsOfLayers(context);
  CheckVersion(context);
  CheckModelQuantType(context);
  CheckMixLabel(context);
  CheckGroupSize(context);
  CheckKvCache(context);
}

}  // namespace slim
