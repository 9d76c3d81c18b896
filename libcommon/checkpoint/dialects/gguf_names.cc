#include "checkpoint/dialects/gguf_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/text.h"

namespace slim {
namespace {

constexpr GgufArchitecture kArchitectures[] = {
    {"llama", "llama", "LlamaForCausalLM", true},
    {"llama", "mistral", "MistralForCausalLM", true},
    {"qwen2", "qwen2", "Qwen2ForCausalLM", false},
    {"qwen3", "qwen3", "Qwen3ForCausalLM", false},
};

struct NamePair {
  std::string_view gguf;
  std::string_view hf;
};
constexpr NamePair kModel[] = {
    {"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}};
constexpr NamePair kBlock[] = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};
constexpr std::string_view kGgufBlock = "blk.";
constexpr std::string_view kHfBlock = "model.layers.";

bool IsNumber(std::string_view text) {
  return !text.empty() && text.size() <= 6 &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// `from` and `to` point to the members of NamePair.
std::string Translated(std::string_view name, std::string_view block, std::string_view other_block,
                       std::string_view NamePair::*from, std::string_view NamePair::*to) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return "";
  const std::string_view suffix = name.substr(dot);
  if (suffix != ".weight" && suffix != ".bias") return "";
  std::string_view module = name.substr(0, dot);
  std::string prefix;
  std::span<const NamePair> pairs = kModel;
  if (module.starts_with(block)) {
    module.remove_prefix(block.size());
    const std::string_view number = module.substr(0, module.find('.'));
    if (!IsNumber(number) || number.size() == module.size()) return "";
    module.remove_prefix(number.size() + 1);
    prefix = fmt::format("{}{}.", other_block, number);
    pairs = kBlock;
  }
  const auto found = std::ranges::find(pairs, module, from);
  if (found == pairs.end()) return "";
  return fmt::format("{}{}{}", prefix, (*found).*to, suffix);
}

}  // namespace

const GgufArchitecture* GgufArchitectureByName(std::string_view name) {
  const auto* found = std::ranges::find(kArchitectures, name, &GgufArchitecture::name);
  return found == std::end(kArchitectures) ? nullptr : found;
}

const GgufArchitecture* GgufArchitectureByModelType(std::string_view model_type) {
  const auto* found = std::ranges::find(kArchitectures, model_type, &GgufArchitecture::model_type);
  return found == std::end(kArchitectures) ? nullptr : found;
}

std::string GgufArchitectureNames() {
  std::vector<std::string> names;
  for (const GgufArchitecture& known : kArchitectures) {
    if (names.empty() || names.back() != known.name) names.emplace_back(known.name);
  }
  return Join(names, ", ");
}

std::string HfNameOfGguf(std::string_view name) {
  return Translated(name, kGgufBlock, kHfBlock, &NamePair::gguf, &NamePair::hf);
}

std::string GgufNameOfHf(std::string_view name) {
  return Translated(name, kHfBlock, kGgufBlock, &NamePair::hf, &NamePair::gguf);
}

RotaryRows RotaryRowsOf(std::string_view gguf_name) {
  const std::vector<std::string> parts = Split(gguf_name, '.');
  if (parts.size() != 4) return RotaryRows::kAsTheyAre;
  if (parts[2] == "attn_q") return RotaryRows::kOfQueries;
  return parts[2] == "attn_k" ? RotaryRows::kOfKeys : RotaryRows::kAsTheyAre;
}

Tensor ReorderRotaryRows(const Tensor& tensor, uint64_t heads, RotaryOrder to) {
  Tensor out(tensor.dtype, tensor.shape);
  const uint64_t rows = tensor.shape.at(0);
  const uint64_t row_bytes = tensor.data.size() / rows;
  const uint64_t head = rows / heads;
  for (uint64_t row = 0; row < rows; ++row) {
    const uint64_t within = row % head;
    const uint64_t halves = row - within + within % 2 * (head / 2) + within / 2;
    const uint64_t from = to == RotaryOrder::kHalves ? row : halves;
    const uint64_t place = to == RotaryOrder::kHalves ? halves : row;
    std::memcpy(out.data.data() + place * row_bytes, tensor.data.data() + from * row_bytes,
                row_bytes);
  }
  return out;
}

}  // namespace slim
