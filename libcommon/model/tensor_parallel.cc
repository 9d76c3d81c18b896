#include "model/tensor_parallel.h"

#include <fmt/format.h>

#include "model/modules.h"

namespace slim {
namespace {

struct Names {
  std::string_view embedding;
  std::string_view block;  // "{}" is the layer
  std::string_view qkv;
  std::string_view o;
  std::string_view gate_up;
  std::string_view down;
  std::string_view attention;  // of q_norm and k_norm
  std::string_view input_norm;
  std::string_view mlp_norm;
  std::string_view final_norm;
};

constexpr Names kLlama = {"model.embed_tokens", "model.layers.",    "self_attn.query_key_value",
                          "self_attn.o_proj",   "mlp.gate_up_proj", "mlp.down_proj",
                          "self_attn.",         "input_layernorm",  "post_attention_layernorm",
                          "model.norm"};
constexpr Names kQwen = {
    "transformer.wte", "transformer.h.", "attn.c_attn", "attn.c_proj", "mlp.w2_w1",
    "mlp.c_proj",      "attn.",          "ln_1",        "ln_2",        "transformer.ln_f"};

class Layout {
 public:
  Layout(const ModelConfig& config, const Names& names, uint64_t ranks)
      : config_(config), names_(names), ranks_(ranks) {}

  Result<std::vector<PartModule>> Run() {
    Whole(std::string(names_.embedding), EmbeddingName(config_));
    for (uint64_t layer = 0; layer < config_.num_layers; ++layer) SLIM_TRY(Block(layer));
    Whole(std::string(names_.final_norm), FinalNormName(config_));
    SLIM_TRY(Rows(kLmHeadName, {{kLmHeadName, config_.vocab_size, 1}}));
    return std::move(modules_);
  }

 private:
  static Error Indivisible(const std::string& module, uint64_t units, std::string_view what,
                           uint64_t ranks) {
    return InputError("CV-tp",
                      fmt::format("has {} {}, which {} ranks cannot share", units, what, ranks),
                      "take a degree that divides heads, MLP width and vocabulary")
        .WithTensor(fmt::format("{}.weight", module));
  }

  void Whole(std::string name, std::string module) {
    modules_.push_back({std::move(name), SplitAxis::kWhole, false, {{std::move(module), 1, 1}}});
  }

  Status Rows(std::string name, std::vector<PartMember> members) {
    for (const PartMember& member : members) {
      // Only key and value heads are shared by ranks.
      const bool shared = member.unit_rows > 1 && ranks_ % member.units == 0;
      if (member.units % ranks_ != 0 && !shared)
        return Indivisible(member.module, member.units, member.unit_rows > 1 ? "heads" : "rows",
                           ranks_);
    }
    modules_.push_back({std::move(name), SplitAxis::kRows, true, std::move(members)});
    return {};
  }

  Status Columns(std::string name, PartMember member, uint64_t units, std::string_view what) {
    if (units % ranks_ != 0) return Indivisible(member.module, units, what, ranks_);
    modules_.push_back({std::move(name), SplitAxis::kColumns, true, {std::move(member)}});
    return {};
  }

  Status Block(uint64_t layer) {
    const std::string from = BlockPrefix(config_, layer) + ".";
    const std::string to = fmt::format("{}{}.", names_.block, layer);
    const auto name = [&](std::string_view part) { return fmt::format("{}{}", to, part); };
    const uint64_t head = config_.head_dim;
    if (config_.num_heads % ranks_ != 0)
      return Indivisible(from + "self_attn.q_proj", config_.num_heads, "heads", ranks_);
    SLIM_TRY(Rows(name(names_.qkv), {{from + "self_attn.q_proj", config_.num_heads, head},
                                     {from + "self_attn.k_proj", config_.num_kv_heads, head},
                                     {from + "self_attn.v_proj", config_.num_kv_heads, head}}));
    SLIM_TRY(Columns(name(names_.o), {from + "self_attn.o_proj", config_.hidden_size, 1},
                     config_.num_heads, "heads"));
    if (config_.qk_norm) {
      for (const char* norm : {"q_norm", "k_norm"})
        Whole(name(names_.attention) + norm, from + "self_attn." + norm);
    }
    SLIM_TRY(Rows(name(names_.gate_up), {{from + "mlp.gate_proj", config_.intermediate_size, 1},
                                         {from + "mlp.up_proj", config_.intermediate_size, 1}}));
    SLIM_TRY(Columns(name(names_.down), {from + "mlp.down_proj", config_.hidden_size, 1},
                     config_.intermediate_size, "columns"));
    Whole(name(names_.input_norm), from + "input_layernorm");
    Whole(name(names_.mlp_norm), from + "post_attention_layernorm");
    return {};
  }

  const ModelConfig& config_;
  const Names& names_;
  uint64_t ranks_;
  std::vector<PartModule> modules_;
};

}  // namespace

RowRange PartMember::RowsOf(uint64_t rank, uint64_t ranks) const {
  if (units % ranks == 0) {
    const uint64_t each = units / ranks * unit_rows;
    return {rank * each, (rank + 1) * each};
  }
  const uint64_t unit = rank / (ranks / units);
  return {unit * unit_rows, (unit + 1) * unit_rows};
}

bool PartMember::IsFirst(uint64_t rank, uint64_t ranks) const {
  return units % ranks == 0 || rank % (ranks / units) == 0;
}

Result<std::vector<PartModule>> PartModules(const ModelConfig& config, uint64_t ranks) {
  switch (config.architecture) {
    case Architecture::kLlama:
    case Architecture::kMistral:
      return Layout(config, kLlama, ranks).Run();
    case Architecture::kQwen2:
    case Architecture::kQwen3:
      return Layout(config, kQwen, ranks).Run();
    default:
      return InputError("CF-unsupported",
                        fmt::format("{} has no tensor-parallel parts here: dense Llama, Mistral, "
                                    "Qwen2 and Qwen3 have",
                                    ArchitectureName(config.architecture)));
  }
}

}  // namespace slim
