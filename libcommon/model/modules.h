// The modules of a decoder by name, in model order, with their shapes: which linears there are,
// which share an input, which norm feeds them. Knows names and sizes only; one table serves
// quantization, verification and the forward pass.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "model/model_config.h"
#include "tensor/shape.h"

namespace slim {

// kRouter: a linear that chooses or weights experts; never quantized, but smoothed with the linears
// that read the same input. kParameter: a tensor that is no module's weight.
enum class ModuleKind : uint8_t { kEmbedding, kLinear, kRouter, kNorm, kParameter };

struct Module {
  std::string name;  // "model.layers.0.self_attn.q_proj"; of a parameter the tensor's whole name
  ModuleKind kind = ModuleKind::kLinear;
  Shape weight_shape;  // linear and router [n, k]; norm and parameter [size]; embedding [vocab,
                       // hidden]
  bool has_bias = false;

  bool IsLinear() const { return kind == ModuleKind::kLinear || kind == ModuleKind::kRouter; }
  // "<name>.weight", or the parameter's name.
  std::string TensorName() const;
};

// Of decoder block `layer`, as named_modules() gives them. Attention: q, k, v, o (q_norm, k_norm),
// or with a latent (DeepSeek) q_proj or q_a_proj, q_a_layernorm, q_b_proj, then
// kv_a_proj_with_mqa, kv_a_layernorm, kv_b_proj, o. MLP: gate, up, down, or with experts mlp.gate
// (the router), its e_score_correction_bias, gate, up, down of every expert and of the shared one,
// shared_expert_gate. input_layernorm, post_attention_layernorm.
std::vector<Module> BlockModules(const ModelConfig& config, uint64_t layer);
// Embedding, every block, final norm, lm_head (also when tied).
std::vector<Module> AllModules(const ModelConfig& config);

std::string BlockPrefix(const ModelConfig& config, uint64_t layer);  // "model.layers.3"
// "model.layers.3.mlp.experts.7"
std::string ExpertPrefix(const ModelConfig& config, uint64_t layer, uint64_t expert);
std::string EmbeddingName(const ModelConfig& config);  // "model.embed_tokens"
std::string FinalNormName(const ModelConfig& config);  // "model.norm"
inline constexpr const char* kLmHeadName = "lm_head";

// Linears that read one tensor: q/k/v after input_layernorm, gate/up after
// post_attention_layernorm, o alone, down alone. With a latent: q_a and kv_a after input_layernorm,
// q_b after q_a_layernorm, kv_b after kv_a_layernorm. With experts: the router (first, it sees
// every token), gate/up of every expert and the shared ones after post_attention_layernorm; the
// down_proj of each alone.
struct SharedInput {
  std::string norm;  // the norm whose output they read; empty for o_proj and down_proj
  std::vector<std::string> linears;
};
std::vector<SharedInput> SharedInputs(const ModelConfig& config, uint64_t layer);

// Which part of a model a tensor belongs to. kMtp: a layer after the last, which predicts further
// tokens. kVision: the other tower of a multimodal model. kOther: none that slim knows.
enum class ModelPart : uint8_t { kDecoder, kMtp, kVision, kOther };
ModelPart PartOf(const ModelConfig& config, std::string_view tensor);

// The linears of a checkpoint whose architecture slim does not know, by name rule: every float
// `<module>.weight` of two dimensions, but embeddings, norms, convolutions, routers and the towers
// of other inputs, in natural order of names; lm_head among them. Enough for types that need no
// calibration.
std::vector<Module> LinearsByName(const Checkpoint& checkpoint);

}  // namespace slim
