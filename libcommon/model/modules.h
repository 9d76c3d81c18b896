// The modules of a decoder by name, in model order, with their shapes: which linears there are,
// which share an input, which norm feeds them. Knows names and sizes only; one table serves
// quantization, verification and the forward pass.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model_config.h"
#include "tensor/shape.h"

namespace slim {

enum class ModuleKind : uint8_t { kEmbedding, kLinear, kNorm };

struct Module {
  std::string name;  // "model.layers.0.self_attn.q_proj"
  ModuleKind kind = ModuleKind::kLinear;
  Shape weight_shape;  // linear [n, k]; norm [size]; embedding [vocab, hidden]
  bool has_bias = false;
};

// Of decoder block `layer`, as named_modules() gives them: q, k, v, o (q_norm, k_norm), gate, up,
// down, input_layernorm, post_attention_layernorm.
std::vector<Module> BlockModules(const ModelConfig& config, uint64_t layer);
// Embedding, every block, final norm, lm_head (also when tied).
std::vector<Module> AllModules(const ModelConfig& config);

std::string BlockPrefix(uint64_t layer);  // "model.layers.3"

// Linears that read one tensor: q/k/v after input_layernorm, gate/up after
// post_attention_layernorm, o alone, down alone.
struct SharedInput {
  std::string norm;  // the norm whose output they read; empty for o_proj and down_proj
  std::vector<std::string> linears;
};
std::vector<SharedInput> SharedInputs(uint64_t layer);

inline constexpr const char* kEmbeddingName = "model.embed_tokens";
inline constexpr const char* kFinalNormName = "model.norm";
inline constexpr const char* kLmHeadName = "lm_head";

}  // namespace slim
