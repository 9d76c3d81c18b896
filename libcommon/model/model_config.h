// config.json and generation_config.json as facts about a model: architecture, sizes, rotary
// embedding, special tokens. Reads both generations of keys (torch_dtype / rope_theta /
// rope_scaling, and dtype / rope_parameters). Computes nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dtype/dtype.h"
#include "json/json.h"

namespace slim {

enum class Architecture : uint8_t {
  kLlama,
  kMistral,
  kQwen2,  // Qwen1.5, too
  kQwen3,
  kQwen2Moe,
  kQwen3Moe,
  kDeepseekV2,
  kDeepseekV3,  // R1, too
  kQwen2Vl,     // the text tower, as of the next
  kQwen25Vl,
};

std::string_view ArchitectureName(Architecture architecture);  // model_type: "qwen2"

enum class RopeKind : uint8_t { kDefault, kLinear, kDynamic, kYarn, kLlama3 };

// Frequencies as transformers' modeling_rope_utils computes them; unset optionals take its
// defaults.
struct RopeConfig {
  RopeKind kind = RopeKind::kDefault;
  double theta = 10000.0;
  double factor = 1.0;
  std::optional<uint64_t> original_max_position;
  // yarn
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  std::optional<double> attention_factor;
  std::optional<double> mscale;
  std::optional<double> mscale_all_dim;
  bool truncate = true;
  // llama3
  double low_frequency_factor = 1.0;
  double high_frequency_factor = 4.0;
};

// Attention over a latent (DeepSeek): queries, keys and values are expanded from low-rank
// projections; a part of each key, shared by all heads, carries the position.
struct MlaConfig {
  std::optional<uint64_t> q_lora_rank;  // empty: q_proj instead of q_a_proj and q_b_proj
  uint64_t kv_lora_rank = 0;
  uint64_t nope_dim = 0;    // of a query or key head, without position
  uint64_t rope_dim = 0;    // of a query or key head, rotated
  uint64_t value_dim = 0;   // of a value head
  bool interleaved = true;  // rotates the pairs (2i, 2i + 1), not (i, i + rope_dim / 2)
};

enum class RouterScores : uint8_t { kSoftmax, kSigmoid };
// How a group of experts is ranked before the experts in it are: not at all, by its best expert, by
// the sum of its best two.
enum class GroupRanking : uint8_t { kNone, kBest, kBestTwo };

// Routed experts in the place of the MLP of some layers.
struct MoeConfig {
  uint64_t num_experts = 0;
  uint64_t experts_per_token = 0;
  uint64_t expert_width = 0;     // intermediate size of one routed expert
  uint64_t shared_width = 0;     // of the experts that see every token, as one MLP; 0: none
  std::string_view shared_name;  // "shared_experts" (DeepSeek), "shared_expert" (Qwen2-MoE)
  bool shared_gate = false;      // the shared expert is weighted by sigmoid(shared_expert_gate)
  RouterScores scores = RouterScores::kSoftmax;
  bool correction_bias = false;  // e_score_correction_bias is added for the choice alone
  GroupRanking ranking = GroupRanking::kNone;
  uint64_t groups = 1;
  uint64_t groups_kept = 1;
  bool normalize = false;    // weights of the chosen experts are divided by their sum
  double scaling = 1.0;      // and multiplied by this
  uint64_t first_layer = 0;  // layers before it are dense
  uint64_t step = 1;         // of the others, layers with (layer + step_shift) % step == 0
  uint64_t step_shift = 0;
  std::vector<uint64_t> dense_layers;  // ascending: dense, whatever the rest says
};

struct ModelConfig {
  Architecture architecture = Architecture::kLlama;
  std::string model_type;
  uint64_t hidden_size = 0;
  uint64_t intermediate_size = 0;
  uint64_t num_layers = 0;
  uint64_t num_heads = 0;
  uint64_t num_kv_heads = 0;
  uint64_t head_dim = 0;
  uint64_t vocab_size = 0;
  uint64_t max_position = 0;
  float rms_norm_eps = 1e-6F;
  bool tie_word_embeddings = false;
  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;  // RMSNorm over head_dim of queries and keys
  // Positions a query sees, itself included; empty: all. Applies from layer `first_window_layer`
  // on.
  std::optional<uint64_t> sliding_window;
  uint64_t first_window_layer = 0;
  RopeConfig rope;
  std::optional<MlaConfig> mla;
  std::optional<MoeConfig> moe;
  // Layers after num_layers that predict further tokens (DeepSeek MTP): carried, never computed.
  uint64_t mtp_layers = 0;
  bool text_tower = false;  // the rest of the model (vision) is carried, never computed
  // Of the decoder's tensors: "model", or "model.language_model" (ReadModelConfig finds out).
  std::string prefix = "model";
  std::optional<DType> dtype;  // of torch_dtype / dtype, when named
  std::vector<int64_t> eos_token_ids;
  std::optional<int64_t> bos_token_id;

  uint64_t ValueDim() const { return mla ? mla->value_dim : head_dim; }
  uint64_t RopeDim() const { return mla ? mla->rope_dim : head_dim; }
  bool IsMoeLayer(uint64_t layer) const;
};

// Rules CF-…: CF-missing-key, CF-bad-value, CF-unknown-architecture, CF-unsupported. `config` is an
// object.
Result<ModelConfig> ParseModelConfig(const Json& config);

// The dtype that config.json names, if any: torch_dtype, then dtype. An unknown name is
// CF-bad-value.
Result<std::optional<DType>> ConfigDType(const Json& config);

// eos_token_id (a number or a list) and sampling defaults of generation_config.json.
struct GenerationConfig {
  std::vector<int64_t> eos_token_ids;
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<int64_t> top_k;
};
Result<GenerationConfig> ParseGenerationConfig(const Json& config);

}  // namespace slim
