#include "model/read_config.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "base/text.h"
#include "model/modules.h"

namespace slim {
namespace {

constexpr std::string_view kNestedPrefix = "model.language_model";

// The number at the front of `text`, which is cut after it and its dot.
std::optional<uint64_t> TakeNumber(std::string_view& text) {
  uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto digits = static_cast<size_t>(stop - text.data());
  if (error != std::errc() || digits == text.size() || *stop != '.') return {};
  text.remove_prefix(digits + 1);
  return number;
}

}  // namespace

void ResolvePrefix(const Checkpoint& checkpoint, ModelConfig& config) {
  if (!config.text_tower) return;
  const std::string nested = std::string(kNestedPrefix) + ".";
  for (const TensorEntry& entry : checkpoint.tensors()) {
    if (!entry.name.starts_with(nested)) continue;
    config.prefix = kNestedPrefix;
    return;
  }
}

Result<ModelConfig> ReadModelConfig(const Checkpoint& checkpoint) {
  if (checkpoint.config() == nullptr) {
    for (const Error& problem : checkpoint.problems()) {
      if (BaseName(problem.path) == "config.json") return problem;
    }
    return InputError("RUN-no-config", "has no config.json, which says what model it is",
                      "give the checkpoint's directory")
        .WithPath(checkpoint.path());
  }
  auto config = ParseModelConfig(*checkpoint.config());
  if (!config.ok())
    return std::move(config).error().WithPath(JoinPath(checkpoint.path(), "config.json"));
  ResolvePrefix(checkpoint, *config);
  return config;
}

Status CheckExpertCount(const Checkpoint& checkpoint, const ModelConfig& config) {
  const std::string layers = config.prefix + ".layers.";
  constexpr std::string_view kExperts = "mlp.experts.";
  for (const TensorEntry& entry : checkpoint.tensors()) {
    std::string_view rest = entry.name;
    if (!rest.starts_with(layers)) continue;
    rest.remove_prefix(layers.size());
    const auto layer = TakeNumber(rest);
    if (!layer || *layer >= config.num_layers || !rest.starts_with(kExperts)) continue;
    rest.remove_prefix(kExperts.size());
    const auto expert = TakeNumber(rest);
    if (!expert) continue;
    const uint64_t experts = config.IsMoeLayer(*layer) ? config.moe->num_experts : 0;
    if (*expert < experts) continue;
    return InputError("CF-expert-count",
                      fmt::format("is of expert {}, config.json gives layer {} {} experts", *expert,
                                  *layer, experts),
                      "config.json and the weights are not of one model")
        .WithTensor(entry.name)
        .WithPath(checkpoint.path());
  }
  return {};
}

}  // namespace slim
