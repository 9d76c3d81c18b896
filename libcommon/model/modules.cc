#include "model/modules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"

namespace slim {
namespace {

class BlockBuilder {
 public:
  BlockBuilder(const ModelConfig& config, uint64_t layer)
      : config_(config), prefix_(BlockPrefix(config, layer)) {}

  void Attention() {
    const uint64_t hidden = config_.hidden_size;
    const uint64_t queries = config_.num_heads * config_.head_dim;
    const uint64_t keys = config_.num_kv_heads * config_.head_dim;
    if (config_.mla) return LatentAttention(*config_.mla);
    Linear("self_attn.q_proj", queries, hidden, config_.qkv_bias);
    Linear("self_attn.k_proj", keys, hidden, config_.qkv_bias);
    Linear("self_attn.v_proj", keys, hidden, config_.qkv_bias);
    Linear("self_attn.o_proj", hidden, queries, config_.o_bias);
    if (config_.qk_norm) {
      Norm("self_attn.q_norm", config_.head_dim);
      Norm("self_attn.k_norm", config_.head_dim);
    }
  }

  void DenseMlp() { Mlp("mlp", config_.intermediate_size, config_.mlp_bias); }

  void Experts(const MoeConfig& moe) {
    Add("mlp.gate", ModuleKind::kRouter, {moe.num_experts, config_.hidden_size}, false);
    if (moe.correction_bias)
      Add("mlp.gate.e_score_correction_bias", ModuleKind::kParameter, {moe.num_experts}, false);
    for (uint64_t expert = 0; expert < moe.num_experts; ++expert)
      Mlp(fmt::format("mlp.experts.{}", expert), moe.expert_width, false);
    if (moe.shared_width > 0) Mlp(fmt::format("mlp.{}", moe.shared_name), moe.shared_width, false);
    if (moe.shared_gate)
      Add("mlp.shared_expert_gate", ModuleKind::kRouter, {1, config_.hidden_size}, false);
  }

  void Norm(std::string_view name, uint64_t size) { Add(name, ModuleKind::kNorm, {size}, false); }

  std::vector<Module> Take() { return std::move(modules_); }

 private:
  void Add(std::string_view name, ModuleKind kind, Shape shape, bool bias) {
    modules_.push_back({fmt::format("{}.{}", prefix_, name), kind, std::move(shape), bias});
  }
  void Linear(std::string_view name, uint64_t n, uint64_t k, bool bias) {
    Add(name, ModuleKind::kLinear, {n, k}, bias);
  }

  void LatentAttention(const MlaConfig& mla) {
    const uint64_t hidden = config_.hidden_size;
    const uint64_t heads = config_.num_heads;
    if (mla.q_lora_rank) {
      Linear("self_attn.q_a_proj", *mla.q_lora_rank, hidden, config_.qkv_bias);
      Norm("self_attn.q_a_layernorm", *mla.q_lora_rank);
      Linear("self_attn.q_b_proj", heads * config_.head_dim, *mla.q_lora_rank, false);
    } else {
      Linear("self_attn.q_proj", heads * config_.head_dim, hidden, false);
    }
    Linear("self_attn.kv_a_proj_with_mqa", mla.kv_lora_rank + mla.rope_dim, hidden,
           config_.qkv_bias);
    Norm("self_attn.kv_a_layernorm", mla.kv_lora_rank);
    Linear("self_attn.kv_b_proj", heads * (mla.nope_dim + mla.value_dim), mla.kv_lora_rank, false);
    Linear("self_attn.o_proj", hidden, heads * mla.value_dim, config_.o_bias);
  }

  void Mlp(std::string_view name, uint64_t width, bool bias) {
    Linear(fmt::format("{}.gate_proj", name), width, config_.hidden_size, bias);
    Linear(fmt::format("{}.up_proj", name), width, config_.hidden_size, bias);
    Linear(fmt::format("{}.down_proj", name), config_.hidden_size, width, bias);
  }

  const ModelConfig& config_;
  std::string prefix_;
  std::vector<Module> modules_;
};

void AddAttentionInputs(const ModelConfig& config, const std::string& prefix,
                        std::vector<SharedInput>& inputs) {
  const auto name = [&](const char* module) { return fmt::format("{}.{}", prefix, module); };
  if (!config.mla) {
    inputs.push_back(
        {name("input_layernorm"),
         {name("self_attn.q_proj"), name("self_attn.k_proj"), name("self_attn.v_proj")}});
  } else if (!config.mla->q_lora_rank) {
    inputs.push_back({name("input_layernorm"),
                      {name("self_attn.q_proj"), name("self_attn.kv_a_proj_with_mqa")}});
  } else {
    inputs.push_back({name("input_layernorm"),
                      {name("self_attn.q_a_proj"), name("self_attn.kv_a_proj_with_mqa")}});
    inputs.push_back({name("self_attn.q_a_layernorm"), {name("self_attn.q_b_proj")}});
  }
  if (config.mla)
    inputs.push_back({name("self_attn.kv_a_layernorm"), {name("self_attn.kv_b_proj")}});
  inputs.push_back({"", {name("self_attn.o_proj")}});
}

void AddExpertInputs(const ModelConfig& config, uint64_t layer, const std::string& prefix,
                     std::vector<SharedInput>& inputs) {
  const MoeConfig& moe = *config.moe;
  std::vector<std::string> mlps;
  for (uint64_t expert = 0; expert < moe.num_experts; ++expert)
    mlps.push_back(ExpertPrefix(config, layer, expert));
  if (moe.shared_width > 0) mlps.push_back(fmt::format("{}.mlp.{}", prefix, moe.shared_name));
  SharedInput normed{fmt::format("{}.post_attention_layernorm", prefix),
                     {fmt::format("{}.mlp.gate", prefix)}};
  for (const std::string& mlp : mlps) {
    normed.linears.push_back(mlp + ".gate_proj");
    normed.linears.push_back(mlp + ".up_proj");
  }
  if (moe.shared_gate) normed.linears.push_back(fmt::format("{}.mlp.shared_expert_gate", prefix));
  inputs.push_back(std::move(normed));
  for (const std::string& mlp : mlps) inputs.push_back({"", {mlp + ".down_proj"}});
}

// "12.mlp…" -> 12.
std::optional<uint64_t> LeadingNumber(std::string_view text) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop == end || *stop != '.') return {};
  return number;
}

bool HasComponent(std::string_view name, std::string_view wanted) {
  while (!name.empty()) {
    const size_t dot = name.find('.');
    if (name.substr(0, dot) == wanted) return true;
    if (dot == std::string_view::npos) return false;
    name.remove_prefix(dot + 1);
  }
  return false;
}

// Names of float modules that hold a matrix and are no linear, or that no loader takes quantized.
bool IsNoQuantizableLinear(std::string_view module) {
  constexpr std::array<std::string_view, 15> kNames = {
      "embed_out",  "embed_tokens",       "wte",  "wpe",    "word_embeddings",     "gate",
      "embeddings", "shared_expert_gate", "norm", "router", "position_embeddings", "conv1d",
      "embed_in",   "embedding",          "conv"};
  const std::string_view last = module.substr(module.rfind('.') + 1);
  const bool known = std::find(kNames.begin(), kNames.end(), last) != kNames.end();
  return known || last.find("norm") != std::string_view::npos ||
         last.find("embed") != std::string_view::npos || HasComponent(module, "visual") ||
         HasComponent(module, "vision_tower") || HasComponent(module, "audio_tower");
}

}  // namespace

std::string Module::TensorName() const {
  return kind == ModuleKind::kParameter ? name : name + ".weight";
}

std::string BlockPrefix(const ModelConfig& config, uint64_t layer) {
  return fmt::format("{}.layers.{}", config.prefix, layer);
}

std::string ExpertPrefix(const ModelConfig& config, uint64_t layer, uint64_t expert) {
  return fmt::format("{}.layers.{}.mlp.experts.{}", config.prefix, layer, expert);
}

std::string EmbeddingName(const ModelConfig& config) { return config.prefix + ".embed_tokens"; }

std::string FinalNormName(const ModelConfig& config) { return config.prefix + ".norm"; }

std::vector<Module> BlockModules(const ModelConfig& config, uint64_t layer) {
  BlockBuilder builder(config, layer);
  builder.Attention();
  if (config.IsMoeLayer(layer)) {
    builder.Experts(*config.moe);
  } else {
    builder.DenseMlp();
  }
  builder.Norm("input_layernorm", config.hidden_size);
  builder.Norm("post_attention_layernorm", config.hidden_size);
  return builder.Take();
}

std::vector<Module> AllModules(const ModelConfig& config) {
  std::vector<Module> modules;
  const Shape embedding = {config.vocab_size, config.hidden_size};
  modules.push_back({EmbeddingName(config), ModuleKind::kEmbedding, embedding, false});
  for (uint64_t layer = 0; layer < config.num_layers; ++layer) {
    for (Module& module : BlockModules(config, layer)) modules.push_back(std::move(module));
  }
  modules.push_back({FinalNormName(config), ModuleKind::kNorm, {config.hidden_size}, false});
  modules.push_back({kLmHeadName, ModuleKind::kLinear, embedding, false});
  return modules;
}

std::vector<SharedInput> SharedInputs(const ModelConfig& config, uint64_t layer) {
  const std::string prefix = BlockPrefix(config, layer);
  std::vector<SharedInput> inputs;
  AddAttentionInputs(config, prefix, inputs);
  if (config.IsMoeLayer(layer)) {
    AddExpertInputs(config, layer, prefix, inputs);
    return inputs;
  }
  const auto name = [&](const char* module) { return fmt::format("{}.{}", prefix, module); };
  inputs.push_back(
      {name("post_attention_layernorm"), {name("mlp.gate_proj"), name("mlp.up_proj")}});
  inputs.push_back({"", {name("mlp.down_proj")}});
  return inputs;
}

ModelPart PartOf(const ModelConfig& config, std::string_view tensor) {
  if (config.text_tower && (tensor.starts_with("visual.") || tensor.starts_with("model.visual.")))
    return ModelPart::kVision;
  if (tensor.starts_with("lm_head.")) return ModelPart::kDecoder;
  if (!tensor.starts_with(config.prefix + ".")) return ModelPart::kOther;
  const std::string layers = config.prefix + ".layers.";
  if (!tensor.starts_with(layers)) return ModelPart::kDecoder;
  const auto layer = LeadingNumber(tensor.substr(layers.size()));
  if (!layer) return ModelPart::kOther;
  if (*layer < config.num_layers) return ModelPart::kDecoder;
  return *layer < config.num_layers + config.mtp_layers ? ModelPart::kMtp : ModelPart::kOther;
}

std::vector<Module> LinearsByName(const Checkpoint& checkpoint) {
  std::vector<Module> modules;
  for (const TensorEntry& entry : checkpoint.tensors()) {
    const auto [module, suffix] = SplitTensorName(entry.name);
    const bool floating =
        entry.dtype == DType::kF32 || entry.dtype == DType::kF16 || entry.dtype == DType::kBF16;
    if (suffix != "weight" || entry.shape.size() != 2 || !floating) continue;
    if (IsNoQuantizableLinear(module)) continue;
    const TensorEntry* bias = checkpoint.Find(fmt::format("{}.bias", module));
    const bool has_bias = bias != nullptr && bias->shape == Shape{entry.shape[0]};
    modules.push_back({std::string(module), ModuleKind::kLinear, entry.shape, has_bias});
  }
  std::stable_sort(modules.begin(), modules.end(),
                   [](const Module& a, const Module& b) { return NaturalLess(a.name, b.name); });
  return modules;
}

}  // namespace slim
