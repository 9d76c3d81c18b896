#include "model/modules.h"

#include <fmt/format.h>

namespace slim {

std::string BlockPrefix(uint64_t layer) { return fmt::format("model.layers.{}", layer); }

std::vector<Module> BlockModules(const ModelConfig& config, uint64_t layer) {
  const std::string prefix = BlockPrefix(layer);
  const uint64_t hidden = config.hidden_size;
  const uint64_t queries = config.num_heads * config.head_dim;
  const uint64_t keys = config.num_kv_heads * config.head_dim;
  std::vector<Module> modules;
  const auto linear = [&](const char* name, uint64_t n, uint64_t k, bool bias) {
    modules.push_back({fmt::format("{}.{}", prefix, name), ModuleKind::kLinear, {n, k}, bias});
  };
  const auto norm = [&](const char* name, uint64_t size) {
    modules.push_back({fmt::format("{}.{}", prefix, name), ModuleKind::kNorm, {size}, false});
  };
  linear("self_attn.q_proj", queries, hidden, config.qkv_bias);
  linear("self_attn.k_proj", keys, hidden, config.qkv_bias);
  linear("self_attn.v_proj", keys, hidden, config.qkv_bias);
  linear("self_attn.o_proj", hidden, queries, config.o_bias);
  if (config.qk_norm) {
    norm("self_attn.q_norm", config.head_dim);
    norm("self_attn.k_norm", config.head_dim);
  }
  linear("mlp.gate_proj", config.intermediate_size, hidden, config.mlp_bias);
  linear("mlp.up_proj", config.intermediate_size, hidden, config.mlp_bias);
  linear("mlp.down_proj", hidden, config.intermediate_size, config.mlp_bias);
  norm("input_layernorm", hidden);
  norm("post_attention_layernorm", hidden);
  return modules;
}

std::vector<Module> AllModules(const ModelConfig& config) {
  std::vector<Module> modules;
  modules.push_back(
      {kEmbeddingName, ModuleKind::kEmbedding, {config.vocab_size, config.hidden_size}, false});
  for (uint64_t layer = 0; layer < config.num_layers; ++layer) {
    for (Module& module : BlockModules(config, layer)) modules.push_back(std::move(module));
  }
  modules.push_back({kFinalNormName, ModuleKind::kNorm, {config.hidden_size}, false});
  modules.push_back(
      {kLmHeadName, ModuleKind::kLinear, {config.vocab_size, config.hidden_size}, false});
  return modules;
}

std::vector<SharedInput> SharedInputs(uint64_t layer) {
  const std::string prefix = BlockPrefix(layer);
  const auto name = [&](const char* module) { return fmt::format("{}.{}", prefix, module); };
  return {{name("input_layernorm"),
           {name("self_attn.q_proj"), name("self_attn.k_proj"), name("self_attn.v_proj")}},
          {"", {name("self_attn.o_proj")}},
          {name("post_attention_layernorm"), {name("mlp.gate_proj"), name("mlp.up_proj")}},
          {"", {name("mlp.down_proj")}}};
}

}  // namespace slim
