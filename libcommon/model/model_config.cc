#include "model/model_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/checked.h"
#include "base/text.h"

namespace slim {
namespace {

struct ArchitectureRow {
  Architecture architecture;
  std::string_view model_type;
  std::string_view class_name;
  bool qkv_bias;              // always, whatever attention_bias says
  bool reads_attention_bias;  // config's attention_bias decides over q, k, v and o
  bool qk_norm;
};

constexpr ArchitectureRow kArchitectures[] = {
    {Architecture::kLlama, "llama", "LlamaForCausalLM", false, true, false},
    {Architecture::kMistral, "mistral", "MistralForCausalLM", false, false, false},
    {Architecture::kQwen2, "qwen2", "Qwen2ForCausalLM", true, false, false},
    {Architecture::kQwen3, "qwen3", "Qwen3ForCausalLM", false, true, true},
};

// Larger than any model there is, small enough that products of two stay far from 2^64.
constexpr uint64_t kLargestDimension = 1ULL << 28;

Error MissingKey(std::string_view key) {
  return InputError("CF-missing-key", fmt::format("config.json has no '{}'", key));
}

Error BadValue(std::string_view key, const Json& value, std::string_view wanted) {
  const std::string found =
      value.is_number() || value.is_string() ? Quote(value.text()) : std::string(value.KindName());
  return InputError("CF-bad-value",
                    fmt::format("config.json '{}' is {}, wanted {}", key, found, wanted));
}

const Json* FindValue(const Json& object, std::string_view key) {
  const Json* value = object.Find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Status ReadDimension(const Json& config, std::string_view key, std::optional<uint64_t> fallback,
                     uint64_t& out) {
  const Json* value = FindValue(config, key);
  if (value == nullptr) {
    if (!fallback) return MissingKey(key);
    out = *fallback;
    return {};
  }
  const auto number = value->AsInteger();
  if (!number || *number <= 0 || static_cast<uint64_t>(*number) > kLargestDimension) {
    return BadValue(key, *value, "a positive integer");
  }
  out = static_cast<uint64_t>(*number);
  return {};
}

Status ReadPositive(const Json& config, std::string_view key, double& out) {
  const Json* value = FindValue(config, key);
  if (value == nullptr) return {};
  const auto number = value->AsDouble();
  if (!number || !std::isfinite(*number) || *number <= 0)
    return BadValue(key, *value, "a positive number");
  out = *number;
  return {};
}

Status ReadPositive(const Json& config, std::string_view key, std::optional<double>& out) {
  double number = 0;
  SLIM_TRY(ReadPositive(config, key, number));
  if (number > 0) out = number;
  return {};
}

Status ReadFlag(const Json& config, std::string_view key, bool& out) {
  const Json* value = FindValue(config, key);
  if (value == nullptr) return {};
  const auto flag = value->AsBool();
  if (!flag) return BadValue(key, *value, "true or false");
  out = *flag;
  return {};
}

Result<std::vector<int64_t>> ReadTokenIds(const Json& config, std::string_view key) {
  std::vector<int64_t> ids;
  const Json* value = FindValue(config, key);
  if (value == nullptr) return ids;
  const auto add = [&](const Json& item) {
    const auto id = item.AsInteger();
    if (!id || *id < 0 || *id > INT32_MAX) return false;
    ids.push_back(*id);
    return true;
  };
  bool ok = true;
  if (value->is_array()) {
    for (const Json& item : value->items()) ok = ok && add(item);
  } else {
    ok = add(*value);
  }
  if (!ok) return BadValue(key, *value, "a token id or a list of them");
  return ids;
}

Result<const ArchitectureRow*> FindArchitecture(const Json& config) {
  std::vector<std::string> known;
  for (const ArchitectureRow& row : kArchitectures) known.emplace_back(row.model_type);
  const Json* type = FindValue(config, "model_type");
  const Json* classes = FindValue(config, "architectures");
  for (const ArchitectureRow& row : kArchitectures) {
    if (type != nullptr && type->AsString() == row.model_type) return &row;
    if (type == nullptr && classes != nullptr && !classes->items().empty() &&
        classes->items().front().AsString() == row.class_name) {
      return &row;
    }
  }
  if (type == nullptr && classes == nullptr) return MissingKey("model_type");
  const std::string found = type != nullptr            ? type->text()
                            : classes->items().empty() ? ""
                                                       : classes->items().front().text();
  return InputError("CF-unknown-architecture",
                    fmt::format("config.json names the unknown architecture {}", Quote(found)),
                    "known: " + Join(known, ", "));
}

Result<RopeKind> ParseRopeKind(const Json& scaling) {
  const Json* type = FindValue(scaling, "rope_type");
  if (type == nullptr) type = FindValue(scaling, "type");
  if (type == nullptr) return RopeKind::kDefault;
  constexpr std::pair<std::string_view, RopeKind> kKinds[] = {{"default", RopeKind::kDefault},
                                                              {"linear", RopeKind::kLinear},
                                                              {"dynamic", RopeKind::kDynamic},
                                                              {"yarn", RopeKind::kYarn},
                                                              {"llama3", RopeKind::kLlama3}};
  for (const auto& [name, kind] : kKinds) {
    if (type->AsString() == name) return kind;
  }
  return InputError("CF-unsupported",
                    fmt::format("config.json names the rope type {}", Quote(type->text())),
                    "known: default, linear, dynamic, yarn, llama3");
}

// `scaling` is rope_scaling (older) or rope_parameters (newer, with rope_theta inside).
Status ReadRope(const Json& config, ModelConfig& model) {
  RopeConfig& rope = model.rope;
  SLIM_TRY(ReadPositive(config, "rope_theta", rope.theta));
  const Json* scaling = FindValue(config, "rope_parameters");
  if (scaling == nullptr) scaling = FindValue(config, "rope_scaling");
  if (scaling == nullptr) return {};
  if (!scaling->is_object()) return BadValue("rope_scaling", *scaling, "an object");
  SLIM_TRY(ReadPositive(*scaling, "rope_theta", rope.theta));
  SLIM_ASSIGN(rope.kind, ParseRopeKind(*scaling));
  if (rope.kind == RopeKind::kDefault) return {};
  if (FindValue(*scaling, "factor") == nullptr) return MissingKey("rope_scaling.factor");
  SLIM_TRY(ReadPositive(*scaling, "factor", rope.factor));
  SLIM_TRY(ReadPositive(*scaling, "beta_fast", rope.beta_fast));
  SLIM_TRY(ReadPositive(*scaling, "beta_slow", rope.beta_slow));
  SLIM_TRY(ReadPositive(*scaling, "attention_factor", rope.attention_factor));
  SLIM_TRY(ReadPositive(*scaling, "mscale", rope.mscale));
  SLIM_TRY(ReadPositive(*scaling, "mscale_all_dim", rope.mscale_all_dim));
  SLIM_TRY(ReadPositive(*scaling, "low_freq_factor", rope.low_frequency_factor));
  SLIM_TRY(ReadPositive(*scaling, "high_freq_factor", rope.high_frequency_factor));
  SLIM_TRY(ReadFlag(*scaling, "truncate", rope.truncate));
  if (FindValue(*scaling, "original_max_position_embeddings") != nullptr) {
    uint64_t original = 0;
    SLIM_TRY(ReadDimension(*scaling, "original_max_position_embeddings", std::nullopt, original));
    rope.original_max_position = original;
  }
  if (rope.kind == RopeKind::kLlama3) {
    if (!rope.original_max_position)
      return MissingKey("rope_scaling.original_max_position_embeddings");
    if (rope.high_frequency_factor <= rope.low_frequency_factor) {
      return InputError("CF-bad-value",
                        "config.json rope_scaling: high_freq_factor is not above low_freq_factor");
    }
  }
  return {};
}

// Defaults of transformers' configuration classes, for keys that config.json leaves out.
constexpr uint64_t kMistralWindow = 4096;
constexpr uint64_t kQwenFirstWindowLayer = 28;

// Newer files name the attention of each layer; slim knows windows from one layer on to the last.
Status ReadLayerTypes(const Json& types, ModelConfig& model) {
  const auto& items = types.items();
  const auto slides = [](const Json& item) { return item.AsString() == "sliding_attention"; };
  const auto first = std::find_if(items.begin(), items.end(), slides);
  if (!std::all_of(first, items.end(), slides)) {
    return InputError("CF-unsupported",
                      "config.json 'layer_types' mixes sliding and full attention");
  }
  model.first_window_layer = static_cast<uint64_t>(first - items.begin());
  return {};
}

Status ReadSlidingWindow(const Json& config, ModelConfig& model) {
  const bool mistral = model.architecture == Architecture::kMistral;
  // Qwen carries a window that is off unless use_sliding_window says so; Mistral has no such
  // switch.
  bool used = mistral;
  SLIM_TRY(ReadFlag(config, "use_sliding_window", used));
  if (!used) return {};
  uint64_t window = 0;
  if (FindValue(config, "sliding_window") != nullptr) {
    SLIM_TRY(ReadDimension(config, "sliding_window", std::nullopt, window));
  } else if (mistral && config.Find("sliding_window") == nullptr) {
    window = kMistralWindow;
  }
  if (window == 0) return {};
  model.sliding_window = window;
  if (const Json* types = FindValue(config, "layer_types"); types != nullptr && types->is_array()) {
    return ReadLayerTypes(*types, model);
  }
  const Json* first = FindValue(config, "max_window_layers");
  if (!mistral) model.first_window_layer = kQwenFirstWindowLayer;
  if (first != nullptr && first->AsInteger() && *first->AsInteger() >= 0) {
    model.first_window_layer = static_cast<uint64_t>(*first->AsInteger());
  }
  return {};
}

Status ReadSizes(const Json& config, ModelConfig& model) {
  SLIM_TRY(ReadDimension(config, "hidden_size", std::nullopt, model.hidden_size));
  SLIM_TRY(ReadDimension(config, "intermediate_size", std::nullopt, model.intermediate_size));
  SLIM_TRY(ReadDimension(config, "num_hidden_layers", std::nullopt, model.num_layers));
  SLIM_TRY(ReadDimension(config, "num_attention_heads", std::nullopt, model.num_heads));
  SLIM_TRY(ReadDimension(config, "num_key_value_heads", model.num_heads, model.num_kv_heads));
  SLIM_TRY(ReadDimension(config, "vocab_size", std::nullopt, model.vocab_size));
  SLIM_TRY(ReadDimension(config, "max_position_embeddings", 2048, model.max_position));
  const uint64_t default_head_dim =
      model.architecture == Architecture::kQwen3
          ? 128
          : std::max<uint64_t>(model.hidden_size / model.num_heads, 1);
  SLIM_TRY(ReadDimension(config, "head_dim", default_head_dim, model.head_dim));
  if (model.num_heads % model.num_kv_heads != 0) {
    return InputError(
        "CF-bad-value",
        fmt::format("config.json: {} attention heads are no multiple of {} key-value heads",
                    model.num_heads, model.num_kv_heads));
  }
  if (model.head_dim % 2 != 0) {
    return InputError("CF-bad-value",
                      fmt::format("config.json: head_dim {} is odd, rotary embedding needs pairs",
                                  model.head_dim));
  }
  return {};
}

}  // namespace

std::string_view ArchitectureName(Architecture architecture) {
  return kArchitectures[static_cast<size_t>(architecture)].model_type;
}

Result<std::optional<DType>> ConfigDType(const Json& config) {
  for (const std::string_view key : {"torch_dtype", "dtype"}) {
    const Json* value = FindValue(config, key);
    if (value == nullptr) continue;
    const auto dtype = ParseModelDType(value->AsString().value_or(""));
    if (!dtype) return BadValue(key, *value, "bfloat16, float16 or float32");
    return dtype;
  }
  return std::optional<DType>();
}

Result<ModelConfig> ParseModelConfig(const Json& config) {
  ModelConfig model;
  SLIM_ASSIGN(const ArchitectureRow* row, FindArchitecture(config));
  model.architecture = row->architecture;
  model.model_type = row->model_type;
  model.qk_norm = row->qk_norm;
  SLIM_TRY(ReadSizes(config, model));
  model.qkv_bias = row->qkv_bias;
  if (row->reads_attention_bias) {
    SLIM_TRY(ReadFlag(config, "attention_bias", model.qkv_bias));
    model.o_bias = model.qkv_bias;
  }
  SLIM_TRY(ReadFlag(config, "mlp_bias", model.mlp_bias));
  SLIM_TRY(ReadFlag(config, "tie_word_embeddings", model.tie_word_embeddings));
  double eps = model.rms_norm_eps;
  SLIM_TRY(ReadPositive(config, "rms_norm_eps", eps));
  model.rms_norm_eps = static_cast<float>(eps);
  if (const Json* activation = FindValue(config, "hidden_act");
      activation != nullptr && activation->AsString() != "silu") {
    return InputError("CF-unsupported",
                      fmt::format("config.json names the activation {}, slim knows silu",
                                  Quote(activation->text())));
  }
  SLIM_TRY(ReadRope(config, model));
  SLIM_TRY(ReadSlidingWindow(config, model));
  SLIM_ASSIGN(model.dtype, ConfigDType(config));
  SLIM_ASSIGN(model.eos_token_ids, ReadTokenIds(config, "eos_token_id"));
  SLIM_ASSIGN(const std::vector<int64_t> bos, ReadTokenIds(config, "bos_token_id"));
  if (!bos.empty()) model.bos_token_id = bos.front();
  return model;
}

Result<GenerationConfig> ParseGenerationConfig(const Json& config) {
  GenerationConfig generation;
  SLIM_ASSIGN(generation.eos_token_ids, ReadTokenIds(config, "eos_token_id"));
  SLIM_TRY(ReadPositive(config, "temperature", generation.temperature));
  SLIM_TRY(ReadPositive(config, "top_p", generation.top_p));
  if (const Json* top_k = FindValue(config, "top_k"); top_k != nullptr)
    generation.top_k = top_k->AsInteger();
  return generation;
}

}  // namespace slim
