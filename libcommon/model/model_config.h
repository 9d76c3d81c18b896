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

enum class Architecture : uint8_t { kLlama, kMistral, kQwen2, kQwen3 };

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
  std::optional<DType> dtype;  // of torch_dtype / dtype, when named
  std::vector<int64_t> eos_token_ids;
  std::optional<int64_t> bos_token_id;
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
