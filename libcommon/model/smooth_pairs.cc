#include "model/smooth_pairs.h"

#include <fmt/format.h>

#include "model/modules.h"

namespace slim {

std::vector<SmoothPairing> SmoothPairings(const ModelConfig& config, uint64_t layer) {
  const std::string prefix = BlockPrefix(config, layer);
  const auto name = [&](const char* module) { return fmt::format("{}.{}", prefix, module); };
  std::vector<SmoothPairing> pairings;
  constexpr std::string_view kUp = ".up_proj";
  for (const Module& module : BlockModules(config, layer)) {
    if (!module.name.ends_with(kUp)) continue;
    const std::string mlp = module.name.substr(0, module.name.size() - kUp.size());
    pairings.push_back(
        {.kind = SmoothPair::kUpDown, .source = module.name, .targets = {mlp + ".down_proj"}});
  }
  const uint64_t value_dim = config.ValueDim();
  pairings.push_back(
      {.kind = SmoothPair::kOv,
       .source = name(config.mla ? "self_attn.kv_b_proj" : "self_attn.v_proj"),
       .targets = {name("self_attn.o_proj")},
       .num_heads = config.num_heads,
       .num_kv_heads = config.mla ? config.num_heads : config.num_kv_heads,
       .head_dim = value_dim,
       .source_head_rows = config.mla ? config.mla->nope_dim + value_dim : value_dim});
  for (SharedInput& input : SharedInputs(config, layer)) {
    if (input.norm.empty()) continue;
    pairings.push_back({.kind = SmoothPair::kNormLinear,
                        .source = std::move(input.norm),
                        .targets = std::move(input.linears)});
  }
  return pairings;
}

}  // namespace slim
