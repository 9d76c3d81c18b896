// Rules about checkpoints of other ecosystems: what their readers could not make sense of, the
// arguments of compressed-tensors, order of groups, blocks of fused layers (foreign_rules.def).
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "checkpoint/dialects/module_layers.h"
#include "model/fused_linears.h"
#include "verify/context.h"

namespace slim {
namespace {

std::string ConfigPath(const VerifyContext& context) {
  return JoinPath(context.checkpoint().path(), "config.json");
}

// ---- compressed-tensors

constexpr std::array<std::string_view, 7> kStrategies = {
    "tensor", "channel", "group", "block", "token", "tensor_group", "attn_head"};
constexpr std::array<std::string_view, 16> kArguments = {
    "num_bits",  "type",      "symmetric", "strategy",        "group_size",  "block_structure",
    "dynamic",   "actorder",  "observer",  "observer_kwargs", "scale_dtype", "zp_dtype",
    "is_global", "zp_offset", "format",    "status"};

class CtArguments {
 public:
  CtArguments(VerifyContext& context, std::string place, const Json& args, bool activations)
      : context_(context), place_(std::move(place)), args_(args), activations_(activations) {}

  // What compressed-tensors itself derives and refuses (ecosystem.md 1.3 B).
  void Check() {
    CheckKeys();
    const Json* size = Value("group_size");
    const int64_t group = size == nullptr ? 0 : size->AsInteger().value_or(0);
    const std::string strategy = Strategy(group);
    if (std::ranges::find(kStrategies, strategy) == kStrategies.end())
      return Report(fmt::format("strategy is {}", Quote(strategy)));
    const bool grouped = strategy == "group" || strategy == "tensor_group";
    if (grouped && group <= 0) Report(fmt::format("strategy {} has no group_size", strategy));
    if (!grouped && group > 0)
      Report(fmt::format("strategy {} has group_size {}", strategy, group));
    const bool blocks = Value("block_structure") != nullptr;
    if ((strategy == "block") != blocks) {
      Report(blocks ? fmt::format("strategy {} has a block_structure", strategy)
                    : "strategy block has no block_structure");
    }
    CheckDynamic(strategy);
    if (activations_ && Value("actorder") != nullptr) Report("activations have an actorder");
  }

 private:
  const Json* Value(std::string_view key) const {
    const Json* value = args_.Find(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  std::string Strategy(int64_t group) const {
    const Json* value = Value("strategy");
    if (value != nullptr) return std::string(value->AsString().value_or("no string"));
    return group > 0 ? "group" : group == -1 ? "channel" : "tensor";
  }

  void CheckKeys() {
    for (const Json::Member& member : args_.members()) {
      if (std::ranges::find(kArguments, member.first) == kArguments.end())
        Report(fmt::format("has the unknown argument {}", Quote(member.first)));
    }
    const Json* bits = Value("num_bits");
    const int64_t number = bits == nullptr ? 8 : bits->AsInteger().value_or(0);
    if (number < 1 || number > 16)
      Report(fmt::format("num_bits is {}", bits == nullptr ? "" : DumpJson(*bits)));
    const Json* type = Value("type");
    if (type != nullptr && type->AsString() != "int" && type->AsString() != "float")
      Report(fmt::format("type is {}", DumpJson(*type)));
  }

  void CheckDynamic(std::string_view strategy) {
    const Json* value = Value("dynamic");
    const bool local = value != nullptr && value->AsString() == "local";
    const bool dynamic = value != nullptr && value->AsBool().value_or(false);
    if (strategy == "token" && !dynamic) Report("strategy token is static");
    if (local && strategy != "tensor_group")
      Report(fmt::format("dynamic is \"local\" with strategy {}", strategy));
    constexpr std::array<std::string_view, 4> kDynamic = {"token", "tensor", "group",
                                                          "tensor_group"};
    if (dynamic && std::ranges::find(kDynamic, strategy) == kDynamic.end())
      Report(fmt::format("strategy {} is dynamic", strategy));
  }

  void Report(std::string message) {
    context_.Report("CT-scheme", {.found = place_,
                                  .message = fmt::format("{}: {}", place_, message),
                                  .path = ConfigPath(context_)});
  }

  VerifyContext& context_;
  std::string place_;
  const Json& args_;
  bool activations_;
};

void CheckCompressedTensors(VerifyContext& context) {
  const Json* config = QuantizationConfig(context.checkpoint());
  if (config == nullptr) return;  // CT-config
  const auto report = [&](std::string message) {
    context.Report("CT-scheme", {.message = std::move(message), .path = ConfigPath(context)});
  };
  const Json* status = config->Find("quantization_status");
  if (status != nullptr && status->is_string() && status->text() != "compressed")
    report(fmt::format("quantization_status is {}, on disk it is 'compressed'",
                       Quote(status->text())));
  const Json* groups = config->Find("config_groups");
  if (groups == nullptr || !groups->is_object()) return;  // CT-config
  for (const auto& [name, group] : groups->members()) {
    if (!group.is_object()) continue;  // a preset
    const Json* targets = group.Find("targets");
    if (targets == nullptr || !targets->is_array() || targets->items().empty())
      report(fmt::format("config_groups.{} has no targets", name));
    const Json* format = group.Find("format");
    if (format != nullptr && format->AsString() == "mixed-precision")
      report(fmt::format("config_groups.{}: mixed-precision is no format of a group", name));
    for (const std::string_view part : {"weights", "input_activations", "output_activations"}) {
      const Json* args = group.Find(part);
      if (args == nullptr || !args->is_object()) continue;
      CtArguments(context, fmt::format("config_groups.{}.{}", name, part), *args, part != "weights")
          .Check();
    }
  }
}

// ---- GPTQ

bool Says(const VerifyContext& context, std::string_view key) {
  const Json* config = QuantizationConfig(context.checkpoint());
  const Json* value = config == nullptr ? nullptr : config->Find(key);
  return value != nullptr && value->AsBool().value_or(false);
}

void CheckGroupOrder(VerifyContext& context) {
  if (Says(context, "desc_act")) return;
  for (const LogicalLayer& layer : context.foreign()->layers()) {
    if (layer.column_groups.empty()) continue;
    context.Report("GQ-group-order",
                   {.tensor = fmt::format("{}.g_idx", layer.name),
                    .found = "desc_act false",
                    .message = "is out of order, quantization_config says desc_act is false"});
    return;  // one key, one finding
  }
}

// "group_size" of quantization_config against the scales.
void CheckGroupSize(VerifyContext& context) {
  const Json* config = QuantizationConfig(context.checkpoint());
  const Json* value = config == nullptr ? nullptr : config->Find("group_size");
  const auto number = value == nullptr ? std::nullopt : value->AsInteger();
  if (!number) return;
  for (const LogicalLayer& layer : context.foreign()->layers()) {
    if (!layer.is_quantized() || layer.groups() == 0) continue;
    const uint64_t group = layer.k() / layer.groups();
    const bool fits = *number > 0 ? group == static_cast<uint64_t>(*number) : layer.groups() == 1;
    if (fits) continue;
    context.Report("DE-group-size",
                   {.tensor = layer.name,
                    .found = std::to_string(*number),
                    .wanted = std::to_string(group),
                    .message = fmt::format("'group_size' is {}, {} columns share a scale here",
                                           *number, group),
                    .path = ConfigPath(context)});
    return;
  }
}

// ---- FP8 blocks

// A loader that fuses layers looks for the block of a row by the fused row number.
void CheckFusedBlocks(VerifyContext& context) {
  for (const LogicalLayer& layer : context.foreign()->layers()) {
    if (layer.block[0] == 0 || layer.n() % layer.block[0] == 0) continue;
    if (FusedLinears(SplitTensorName(layer.name).suffix).empty()) continue;
    context.Report(
        "FP8-fused-block",
        {.tensor = layer.sources.front()->name,
         .found = std::to_string(layer.n()),
         .wanted = fmt::format("a multiple of {}", layer.block[0]),
         .message = fmt::format(
             "has {} rows, {:.1f} blocks of {}, and is fused with "
             "other layers",
             layer.n(), static_cast<double>(layer.n()) / static_cast<double>(layer.block[0]),
             layer.block[0])});
  }
}

}  // namespace

void CheckForeign(VerifyContext& context) {
  if (context.foreign() == nullptr) return;
  switch (context.checkpoint().dialect()) {
    case Dialect::kCompressedTensors:
      return CheckCompressedTensors(context);
    case Dialect::kGptq:
      CheckGroupOrder(context);
      return CheckGroupSize(context);
    case Dialect::kAwq:
      return CheckGroupSize(context);
    case Dialect::kFp8Block:
      return CheckFusedBlocks(context);
    default:
      return;
  }
}

}  // namespace slim
