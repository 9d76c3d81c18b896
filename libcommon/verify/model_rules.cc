// Rules that hold the tensors against the sizes of config.json: layers, modules, shapes, the tied
// head.
#include <fmt/format.h>

#include <charconv>
#include <set>

#include "base/text.h"
#include "model/model_config.h"
#include "model/modules.h"
#include "model/read_config.h"
#include "verify/context.h"

namespace slim {
namespace {

// "model.layers.12.mlp…" -> 12, where `layers` is "model.layers.".
std::optional<uint64_t> LayerNumber(std::string_view name, std::string_view layers) {
  if (!name.starts_with(layers)) return {};
  uint64_t number = 0;
  const char* begin = name.data() + layers.size();
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error != std::errc() || stop == begin || stop == end || *stop != '.') return {};
  return number;
}

std::string ConfigPath(const VerifyContext& context) {
  return JoinPath(context.checkpoint().path(), "config.json");
}

// The layers there are; missing and superfluous ones are reported. config.json may claim any
// number, so nothing here is proportional to it.
std::set<uint64_t> CheckLayers(VerifyContext& context, const ModelConfig& model) {
  std::set<uint64_t> present;
  const std::string prefix = model.prefix + ".layers.";
  for (const LayerTensors& layer : context.layers().layers()) {
    if (const auto number = LayerNumber(layer.module, prefix)) present.insert(*number);
  }
  const auto beyond = present.lower_bound(model.num_layers);
  const auto inside = static_cast<uint64_t>(std::distance(present.begin(), beyond));
  if (inside < model.num_layers && !context.incomplete()) {
    uint64_t missing = 0;
    while (present.contains(missing)) ++missing;
    context.Report("MODEL-layer-count",
                   {.tensor = BlockPrefix(model, missing),
                    .found = std::to_string(inside),
                    .wanted = std::to_string(model.num_layers),
                    .message = fmt::format("{} of {} layers are there, the first missing is {}",
                                           inside, model.num_layers, missing),
                    .path = ConfigPath(context)});
  }
  for (auto extra = beyond; extra != present.end(); ++extra) {
    if (*extra < model.num_layers + model.mtp_layers) continue;
    context.Report("MODEL-extra-layer",
                   {.tensor = BlockPrefix(model, *extra),
                    .wanted = std::to_string(model.num_layers),
                    .message = fmt::format("config.json has {} layers", model.num_layers),
                    .path = ConfigPath(context)});
  }
  present.erase(beyond, present.end());
  return present;
}

void ReportMissing(VerifyContext& context, std::string_view module, std::string_view suffix,
                   const ModelConfig& model) {
  context.Report("MODEL-missing-tensor",
                 {.tensor = fmt::format("{}.{}", module, suffix),
                  .message = fmt::format("is missing, a {} model has it", model.model_type)});
}

// Two 4-bit codes may share a byte: halved along n or along k (formats.md 6.5).
bool FitsPacked(const LayerTensors& layer, const Shape& found, const Shape& wanted) {
  if (!layer.scheme || SchemeWeightBits(*layer.scheme) != 4 || found.size() != 2) return false;
  return (found[0] * 2 == wanted[0] && found[1] == wanted[1]) ||
         (found[0] == wanted[0] && found[1] * 2 == wanted[1]);
}

void CheckShape(VerifyContext& context, const TensorEntry& entry, const Shape& wanted) {
  if (entry.shape == wanted) return;
  context.Report("MODEL-shape",
                 {.tensor = entry.name,
                  .found = ShapeText(entry.shape),
                  .wanted = ShapeText(wanted),
                  .message = fmt::format("has shape {}, config.json gives {}",
                                         ShapeText(entry.shape), ShapeText(wanted))});
}

// Compressed weights are flat streams.
bool HasOwnShape(const LayerTensors& layer) {
  return layer.scheme && (*layer.scheme == Scheme::kW8A8SC || *layer.scheme == Scheme::kW16A16SC ||
                          *layer.scheme == Scheme::kNF4);
}

void CheckParameter(VerifyContext& context, const ModelConfig& model, const Module& module) {
  const TensorEntry* entry = context.checkpoint().Find(module.name);
  if (entry != nullptr) return CheckShape(context, *entry, module.weight_shape);
  if (context.incomplete()) return;
  const auto [owner, suffix] = SplitTensorName(module.name);
  ReportMissing(context, owner, suffix, model);
}

// Of a dialect of another ecosystem: by the logical shape that its reader gave the layer.
void CheckForeignModule(VerifyContext& context, const ModelConfig& model, const Module& module) {
  const LogicalLayer* layer = context.FindForeign(module.name);
  if (layer == nullptr) layer = context.FindForeign(module.name + ".weight");
  if (layer != nullptr) {
    const TensorEntry& entry = *layer->sources.front();
    if (layer->shape() == module.weight_shape) return;
    context.Report("MODEL-shape", {.tensor = entry.name,
                                   .found = ShapeText(layer->shape()),
                                   .wanted = ShapeText(module.weight_shape),
                                   .message = fmt::format(
                                       "is a layer of shape {}, config.json gives {}",
                                       ShapeText(layer->shape()), ShapeText(module.weight_shape))});
    return;
  }
  const bool tied_head = module.name == kLmHeadName && model.tie_word_embeddings;
  // A layer that has tensors and was not read has its own finding.
  if (context.layers().Find(module.name) != nullptr || context.incomplete() || tied_head) return;
  ReportMissing(context, module.name, "weight", model);
}

void CheckModule(VerifyContext& context, const ModelConfig& model, const Module& module) {
  if (module.kind == ModuleKind::kParameter) return CheckParameter(context, model, module);
  if (context.foreign() != nullptr) return CheckForeignModule(context, model, module);
  const LayerTensors* layer = context.layers().Find(module.name);
  const TensorEntry* weight = layer == nullptr ? nullptr : (*layer)[Role::kWeight];
  const bool tied_head = module.name == kLmHeadName && model.tie_word_embeddings;
  if (weight == nullptr) {
    if (!context.incomplete() && !tied_head) ReportMissing(context, module.name, "weight", model);
    return;
  }
  if (!HasOwnShape(*layer) && !FitsPacked(*layer, weight->shape, module.weight_shape))
    CheckShape(context, *weight, module.weight_shape);
  const TensorEntry* bias = (*layer)[Role::kBias];
  if (bias != nullptr) {
    CheckShape(context, *bias, {module.weight_shape[0]});
  } else if (module.has_bias && !context.incomplete() && (*layer)[Role::kQuantBias] == nullptr) {
    // A static layer may carry its bias in quant_bias alone.
    ReportMissing(context, module.name, "bias", model);
  }
}

void CheckTiedHead(VerifyContext& context, const ModelConfig& model) {
  const LayerTensors* head = context.layers().Find(kLmHeadName);
  if (!model.tie_word_embeddings || head == nullptr || (*head)[Role::kWeight] == nullptr) return;
  if (!head->IsQuantized()) return;  // --deep compares the values
  context.Report("MODEL-tied-head",
                 {.tensor = (*head)[Role::kWeight]->name,
                  .found = *head->label,
                  .wanted = "FLOAT",
                  .message = fmt::format("is {}, but tie_word_embeddings is true: loaders use the "
                                         "embedding",
                                         *head->label)});
}

}  // namespace

void CheckModel(VerifyContext& context) {
  const Checkpoint& checkpoint = context.checkpoint();
  if (checkpoint.config() == nullptr || checkpoint.tensors().empty()) return;
  Json config = *checkpoint.config();
  config.Remove("torch_dtype");  // an unknown dtype is CheckConfig's business
  config.Remove("dtype");
  auto model = ParseModelConfig(config);
  if (!model.ok()) return;  // reported by CheckConfig
  ResolvePrefix(checkpoint, *model);
  const std::set<uint64_t> present = CheckLayers(context, *model);
  for (const uint64_t layer : present) {
    for (const Module& module : BlockModules(*model, layer)) CheckModule(context, *model, module);
  }
  const Shape embedding = {model->vocab_size, model->hidden_size};
  CheckModule(context, *model, {EmbeddingName(*model), ModuleKind::kEmbedding, embedding, false});
  CheckModule(context, *model,
              {FinalNormName(*model), ModuleKind::kNorm, {model->hidden_size}, false});
  CheckModule(context, *model, {kLmHeadName, ModuleKind::kLinear, embedding, false});
  CheckTiedHead(context, *model);
}

}  // namespace slim
