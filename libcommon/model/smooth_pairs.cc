#include "model/smooth_pairs.h"

#include <fmt/format.h>

#include "model/modules.h"

namespace slim {

std::vector<SmoothPairing> SmoothPairings(const ModelConfig& config, uint64_t layer) {
  const std::string prefix = BlockPrefix(config, layer);
  const auto name = [&](const char* module) { return fmt::format("{}.{}", prefix, module); };
  std::vector<SmoothPairing> pairings;
  pairings.push_back({.kind = SmoothPair::kUpDown,
                      .source = name("mlp.up_proj"),
                      .targets = {name("mlp.down_proj")}});
  pairings.push_back({.kind = SmoothPair::kOv,
                      .source = name("self_attn.v_proj"),
                      .targets = {name("self_attn.o_proj")},
                      .num_heads = config.num_heads,
                      .num_kv_heads = config.num_kv_heads,
                      .head_dim = config.head_dim});
  for (SharedInput& input : SharedInputs(config, layer)) {
    if (input.norm.empty()) continue;
    pairings.push_back({.kind = SmoothPair::kNormLinear,
                        .source = std::move(input.norm),
                        .targets = std::move(input.linears)});
  }
  return pairings;
}

}  // namespace slim
