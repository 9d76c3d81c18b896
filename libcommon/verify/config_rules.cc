// Rules about config.json and the side files.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "checkpoint/side_files.h"
#include "model/model_config.h"
#include "verify/context.h"

namespace slim {
namespace {

std::string ConfigPath(const VerifyContext& context) {
  return JoinPath(context.checkpoint().path(), "config.json");
}

const Json* FindValue(const Json& object, std::string_view key) {
  const Json* value = object.Find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string ValueText(const Json& value) {
  return value.is_string() || value.is_number() ? value.text() : std::string(value.KindName());
}

void CheckDType(VerifyContext& context, const Json& config) {
  const auto dtype = ConfigDType(config);
  const std::string path = ConfigPath(context);
  if (!dtype.ok()) {
    Error problem = dtype.error();
    context.Report(std::move(problem).WithPath(path));
  } else if (!context.model_dtype()) {
    context.Report("CF-no-dtype", {.wanted = "torch_dtype or dtype",
                                   .message = "config.json names neither torch_dtype nor dtype",
                                   .path = path});
  }
}

// Everything else that a known architecture needs. dtype is CheckDType's business.
void CheckSizes(VerifyContext& context, const Json& config) {
  Json sizes = config;
  sizes.Remove("torch_dtype");
  sizes.Remove("dtype");
  const auto model = ParseModelConfig(sizes);
  if (model.ok()) return;
  Error problem = model.error();
  context.Report(std::move(problem).WithPath(ConfigPath(context)));
}

// MindIE and msModelSlim name one type differently.
std::string Canonical(std::string_view type) {
  const std::string lower = ToLower(type);
  return lower == "w8a8_pdmix" ? "w8a8_mix" : lower;
}

void CheckQuantizeKey(VerifyContext& context, const Json& config) {
  const Json* quantize = FindValue(config, "quantize");
  const std::string path = ConfigPath(context);
  if (quantize == nullptr) {
    // A float checkpoint has no type to name: MindIE refuses "float" (facts: consumers.md 2.1).
    if (context.quant_type() == SchemeLabel(Scheme::kFloat)) return;
    context.Report("CF-quantize-missing", {.wanted = ToLower(context.quant_type()),
                                           .message = "config.json has no 'quantize'",
                                           .path = path});
    return;
  }
  if (!quantize->is_string() || quantize->text() != ToLower(quantize->text())) {
    context.Report("CF-quantize-case",
                   {.found = ValueText(*quantize),
                    .wanted = ToLower(ValueText(*quantize)),
                    .message = fmt::format("'quantize' is {}", Quote(ValueText(*quantize))),
                    .path = path});
    return;
  }
  if (context.quant_type().empty() ||
      Canonical(quantize->text()) == Canonical(context.quant_type()))
    return;
  context.Report(
      "CF-quantize-contradicts",
      {.found = quantize->text(),
       .wanted = ToLower(context.quant_type()),
       .message = fmt::format("'quantize' is {}, the description's model_quant_type is {}",
                              Quote(quantize->text()), Quote(context.quant_type())),
       .path = path});
}

// A block with quant_method belongs to another format; in ascendv1 any block is taken by vLLM for
// the description. The mindie writer's own block has no quant_method and stays.
void CheckLeftover(VerifyContext& context, const Json& config) {
  for (const Json* place : {&config, FindValue(config, "text_config")}) {
    const Json* block = place == nullptr ? nullptr : FindValue(*place, "quantization_config");
    if (block == nullptr) continue;
    const Json* method = FindValue(*block, "quant_method");
    if (method == nullptr && !context.IsDialect(Dialect::kAscendV1)) continue;
    const std::string found = method == nullptr
                                  ? "without quant_method"
                                  : fmt::format("with quant_method {}", Quote(ValueText(*method)));
    context.Report("CF-leftover-quantization-config",
                   {.found = found,
                    .wanted = "no quantization_config",
                    .message = fmt::format("config.json has a quantization_config {}", found),
                    .path = ConfigPath(context)});
  }
}

// One note for all: which dtype the float weights have instead.
void CheckFloatDType(VerifyContext& context) {
  if (!context.model_dtype()) return;
  std::map<DType, uint64_t> others;
  const TensorEntry* first = nullptr;
  for (const LayerTensors& layer : context.layers().layers()) {
    const TensorEntry* weight = layer[Role::kWeight];
    if (weight == nullptr || layer.IsQuantized() || !IsFloating(weight->dtype)) continue;
    if (DTypeBits(weight->dtype) <= 8) continue;  // codes of FP8
    if (weight->dtype == *context.model_dtype()) continue;
    ++others[weight->dtype];
    if (first == nullptr) first = weight;
  }
  for (const auto& [dtype, count] : others) {
    context.Report("CF-float-dtype", {.tensor = first->name,
                                      .found = std::string(DTypeName(dtype)),
                                      .wanted = std::string(DTypeName(*context.model_dtype())),
                                      .message = fmt::format(
                                          "{} float weights are {}, config.json says {}", count,
                                          DTypeName(dtype), TorchDTypeName(*context.model_dtype())),
                                      .path = ConfigPath(context)});
  }
}

void CheckSideFiles(VerifyContext& context) {
  const Checkpoint& checkpoint = context.checkpoint();
  const auto has = [&](std::string_view name) { return checkpoint.HasFile(name); };
  const bool tiktoken =
      std::any_of(checkpoint.listing().begin(), checkpoint.listing().end(),
                  [](const DirectoryEntry& file) { return file.name.ends_with(".tiktoken"); });
  if (!has("tokenizer.json") && !has("tokenizer.model") && !tiktoken && !has("vocab.txt") &&
      !(has("vocab.json") && has("merges.txt"))) {
    context.Report("SIDE-no-tokenizer",
                   {.wanted = "tokenizer.json or tokenizer.model",
                    .message = "no tokenizer: looked for tokenizer.json, tokenizer.model, "
                               "vocab.json with merges.txt, vocab.txt, *.tiktoken"});
  }
  if (!has("special_tokens_map.json")) {
    const bool sparse = context.IsDialect(Dialect::kMindIEParts) ||
                        context.quant_type() == "W8A8S" || context.quant_type() == "W8A8SC";
    context.Report(
        sparse ? RuleName("SIDE-sparse-special-tokens") : RuleName("SIDE-no-special-tokens-map"),
        {.wanted = "special_tokens_map.json", .message = "special_tokens_map.json is not there"});
  }
  if (!has("configuration.json")) {
    context.Report("SIDE-no-configuration",
                   {.wanted = "configuration.json", .message = "configuration.json is not there"});
  }
  for (const DirectoryEntry& file : checkpoint.side_files()) {
    if (KindOfSideFile(file.name) != SideFileKind::kUnknown) continue;
    context.Report("SIDE-unknown-file",
                   {.found = file.name,
                    .message = fmt::format("{} ({}) has no known purpose", Quote(file.name),
                                           HumanSize(file.size)),
                    .path = JoinPath(checkpoint.path(), file.name)});
  }
}

}  // namespace

void CheckConfig(VerifyContext& context) {
  const Checkpoint& checkpoint = context.checkpoint();
  CheckSideFiles(context);
  if (!checkpoint.HasFile("config.json")) {
    context.Report("CF-missing", {.wanted = "config.json", .message = "config.json is not there"});
    return;
  }
  const Json* config = checkpoint.config();
  if (config == nullptr) return;  // reported by CheckContainer
  CheckDType(context, *config);
  CheckSizes(context, *config);
  CheckQuantizeKey(context, *config);
  CheckLeftover(context, *config);
  CheckFloatDType(context);
}

}  // namespace slim
