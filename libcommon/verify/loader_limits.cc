// What users of a generation of a loader met with a family of models (loader_limits.def).
#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "verify/loader_judge.h"

namespace slim {
namespace {

struct LoaderLimit {
  LoaderSet loaders;
  std::string_view model_type;
  std::string_view module;
  Effect effect;
  std::string_view text;
  std::string_view thread;
};

constexpr auto kLimits = [] {
  using namespace rule_table;
  using enum Effect;
  return std::to_array<LoaderLimit>({
#define SLIM_LOADER_LIMIT(loaders, model_type, module, effect, text, thread) \
  {loaders, model_type, module, effect, text, thread},
#include "verify/loader_limits.def"
#undef SLIM_LOADER_LIMIT
  });
}();

// The first quantized module whose name has that part, or null.
const LayerTensors* QuantizedWith(const VerifyContext& context, std::string_view part) {
  for (const LayerTensors& layer : context.layers().layers()) {
    const bool quantized = layer.label != nullptr && *layer.label != "FLOAT";
    if (quantized && layer.module.find(part) != std::string_view::npos) return &layer;
  }
  return nullptr;
}

}  // namespace

void JudgeLimits(LoaderJudge& judge) {
  const Json* type = judge.Config("model_type");
  const auto name = type == nullptr ? std::nullopt : type->AsString();
  for (const LoaderLimit& limit : kLimits) {
    if ((limit.loaders & BitOf(judge.target.version)) == 0) continue;
    if (!name.value_or("").starts_with(limit.model_type)) continue;
    const LayerTensors* layer =
        limit.module.empty() ? nullptr : QuantizedWith(judge.context, limit.module);
    if (!limit.module.empty() && layer == nullptr) continue;
    judge.Report("LD-known-limit", limit.effect,
                 {.tensor = layer == nullptr ? "" : layer->module,
                  .found = std::string(name.value_or("")),
                  .message = fmt::format("{} ({})", limit.text, limit.thread),
                  .path = layer == nullptr ? judge.ConfigPath() : std::string()});
  }
}

}  // namespace slim
