#include "model/model_config.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "model/config_keys.h"
#include "model/mixture_config.h"

namespace slim {
namespace {

// Which generation of keys describes the experts.
enum class MoeKeys : uint8_t { kNone, kQwen, kDeepseek };

struct ArchitectureRow {
  Architecture architecture;
  std::string_view model_type;
  std::string_view class_name;
  bool qkv_bias;              // unless the config's qkv_bias says otherwise
  bool reads_attention_bias;  // config's attention_bias decides over q, k, v and o
  bool qk_norm;
  MoeKeys moe = MoeKeys::kNone;
  bool mla = false;
  bool text_tower = false;  // of a multimodal model: sizes may stand in text_config
};

constexpr ArchitectureRow kArchitectures[] = {
    {Architecture::kLlama, "llama", "LlamaForCausalLM", false, true, false},
    {Architecture::kMistral, "mistral", "MistralForCausalLM", false, false, false},
    {Architecture::kQwen2, "qwen2", "Qwen2ForCausalLM", true, false, false},
    {Architecture::kQwen3, "qwen3", "Qwen3ForCausalLM", false, true, true},
    {Architecture::kQwen2Moe, "qwen2_moe", "Qwen2MoeForCausalLM", true, false, false,
     MoeKeys::kQwen},
    {Architecture::kQwen3Moe, "qwen3_moe", "Qwen3MoeForCausalLM", false, true, true,
     MoeKeys::kQwen},
    {Architecture::kDeepseekV2, "deepseek_v2", "DeepseekV2ForCausalLM", false, true, false,
     MoeKeys::kDeepseek, true},
    {Architecture::kDeepseekV3, "deepseek_v3", "DeepseekV3ForCausalLM", false, true, false,
     MoeKeys::kDeepseek, true},
    {Architecture::kQwen2Vl, "qwen2_vl", "Qwen2VLForConditionalGeneration", true, false, false,
     MoeKeys::kNone, false, true},
    {Architecture::kQwen25Vl, "qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration", true, false,
     false, MoeKeys::kNone, false, true},
};

// More than any model has; lists of modules stay small enough to hold whatever config.json claims.
constexpr uint64_t kMostLayers = 4096;

Result<const ArchitectureRow*> FindArchitecture(const Json& config) {
  std::vector<std::string> known;
  for (const ArchitectureRow& row : kArchitectures) known.emplace_back(row.model_type);
  const Json* type = FindConfigValue(config, "model_type");
  const Json* classes = FindConfigValue(config, "architectures");
  for (const ArchitectureRow& row : kArchitectures) {
    if (type != nullptr && type->AsString() == row.model_type) return &row;
    if (type == nullptr && classes != nullptr && !classes->items().empty() &&
        classes->items().front().AsString() == row.class_name) {
      return &row;
    }
  }
  if (type == nullptr && classes == nullptr) return MissingConfigKey("model_type");
  const std::string found = type != nullptr            ? type->text()
                            : classes->items().empty() ? ""
                                                       : classes->items().front().text();
  return InputError("CF-unknown-architecture",
                    fmt::format("config.json names the unknown architecture {}", Quote(found)),
                    "known: " + Join(known, ", "));
}

Result<RopeKind> ParseRopeKind(const Json& scaling) {
  const Json* type = FindConfigValue(scaling, "rope_type");
  if (type == nullptr) type = FindConfigValue(scaling, "type");
  if (type == nullptr) return RopeKind::kDefault;
  // Three positions a token (time, height, width), which are one and the same for text.
  if (type->AsString() == "mrope") return RopeKind::kDefault;
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
  const Json* scaling = FindConfigValue(config, "rope_parameters");
  if (scaling == nullptr) scaling = FindConfigValue(config, "rope_scaling");
  if (scaling == nullptr) return {};
  if (!scaling->is_object()) return BadConfigValue("rope_scaling", *scaling, "an object");
  SLIM_TRY(ReadPositive(*scaling, "rope_theta", rope.theta));
  SLIM_ASSIGN(rope.kind, ParseRopeKind(*scaling));
  if (rope.kind == RopeKind::kDefault) return {};
  if (FindConfigValue(*scaling, "factor") == nullptr)
    return MissingConfigKey("rope_scaling.factor");
  SLIM_TRY(ReadPositive(*scaling, "factor", rope.factor));
  SLIM_TRY(ReadPositive(*scaling, "beta_fast", rope.beta_fast));
  SLIM_TRY(ReadPositive(*scaling, "beta_slow", rope.beta_slow));
  SLIM_TRY(ReadPositive(*scaling, "attention_factor", rope.attention_factor));
  SLIM_TRY(ReadPositive(*scaling, "mscale", rope.mscale));
  SLIM_TRY(ReadPositive(*scaling, "mscale_all_dim", rope.mscale_all_dim));
  SLIM_TRY(ReadPositive(*scaling, "low_freq_factor", rope.low_frequency_factor));
  SLIM_TRY(ReadPositive(*scaling, "high_freq_factor", rope.high_frequency_factor));
  SLIM_TRY(ReadFlag(*scaling, "truncate", rope.truncate));
  if (FindConfigValue(*scaling, "original_max_position_embeddings") != nullptr) {
    uint64_t original = 0;
    SLIM_TRY(ReadDimension(*scaling, "original_max_position_embeddings", std::nullopt, original));
    rope.original_max_position = original;
  }
  if (rope.kind == RopeKind::kLlama3) {
    if (!rope.original_max_position)
      return MissingConfigKey("rope_scaling.original_max_position_embeddings");
    if (rope.high_frequency_factor <= rope.low_frequency_factor) {
      return InputError("CF-bad-value",
                        "config.json rope_scaling: high_freq_factor is not above low_freq_factor");
    }
  }
  return {};
}

// Defaults of transformers' configuration classes, for keys that config.json leaves out.
constexpr uint64_t kQwen3HeadDim = 128;
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
  if (!used || model.mla) return {};
  uint64_t window = 0;
  if (FindConfigValue(config, "sliding_window") != nullptr) {
    SLIM_TRY(ReadDimension(config, "sliding_window", std::nullopt, window));
  } else if (mistral && config.Find("sliding_window") == nullptr) {
    window = kMistralWindow;
  }
  if (window == 0) return {};
  model.sliding_window = window;
  if (const Json* types = FindConfigValue(config, "layer_types");
      types != nullptr && types->is_array()) {
    return ReadLayerTypes(*types, model);
  }
  if (model.architecture == Architecture::kQwen3Moe) return {};  // every layer slides
  const Json* first = FindConfigValue(config, "max_window_layers");
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
  if (model.num_layers > kMostLayers) {
    return BadConfigValue("num_hidden_layers", *config.Find("num_hidden_layers"),
                          fmt::format("at most {}", kMostLayers));
  }
  SLIM_TRY(ReadDimension(config, "num_attention_heads", std::nullopt, model.num_heads));
  SLIM_TRY(ReadDimension(config, "num_key_value_heads", model.num_heads, model.num_kv_heads));
  SLIM_TRY(ReadDimension(config, "vocab_size", std::nullopt, model.vocab_size));
  SLIM_TRY(ReadDimension(config, "max_position_embeddings", 2048, model.max_position));
  const uint64_t default_head_dim =
      model.architecture == Architecture::kQwen3
          ? kQwen3HeadDim
          : std::max<uint64_t>(model.hidden_size / model.num_heads, 1);
  SLIM_TRY(ReadDimension(config, "head_dim", default_head_dim, model.head_dim));
  if (model.mla) {
    // Every query head has a key and a value head of its own, expanded from the latent.
    model.num_kv_heads = model.num_heads;
    model.head_dim = model.mla->nope_dim + model.mla->rope_dim;
  }
  if (model.num_heads % model.num_kv_heads != 0) {
    return InputError(
        "CF-bad-value",
        fmt::format("config.json: {} attention heads are no multiple of {} key-value heads",
                    model.num_heads, model.num_kv_heads));
  }
  if (model.RopeDim() % 2 != 0) {
    return InputError("CF-bad-value",
                      fmt::format("config.json: {} {} is odd, rotary embedding needs pairs",
                                  model.mla ? "qk_rope_head_dim" : "head_dim", model.RopeDim()));
  }
  return {};
}

// The keys of a text tower with those of the whole model where it has none of its own.
Json TextConfig(const Json& config) {
  const Json* text = FindConfigValue(config, "text_config");
  if (text == nullptr || !text->is_object()) return config;
  Json merged = *text;
  for (const std::string_view key : {"torch_dtype", "dtype", "eos_token_id", "bos_token_id"}) {
    const Json* value = config.Find(key);
    if (merged.Find(key) == nullptr && value != nullptr) merged.Set(key, *value);
  }
  // The head belongs to the whole model.
  if (const Json* tied = config.Find("tie_word_embeddings"); tied != nullptr)
    merged.Set("tie_word_embeddings", *tied);
  return merged;
}

Status ReadBiases(const Json& config, const ArchitectureRow& row, ModelConfig& model) {
  model.qkv_bias = row.qkv_bias;
  if (row.architecture == Architecture::kQwen2Moe)
    SLIM_TRY(ReadFlag(config, "qkv_bias", model.qkv_bias));
  if (row.reads_attention_bias) {
    SLIM_TRY(ReadFlag(config, "attention_bias", model.qkv_bias));
    model.o_bias = model.qkv_bias;
  }
  if (row.moe == MoeKeys::kNone && !row.text_tower)
    SLIM_TRY(ReadFlag(config, "mlp_bias", model.mlp_bias));
  return {};
}

Status ReadLayers(const Json& config, const ArchitectureRow& row, ModelConfig& model) {
  if (row.mla) {
    SLIM_ASSIGN(model.mla, ReadMlaConfig(config, row.architecture));
  }
  SLIM_TRY(ReadSizes(config, model));
  if (row.moe == MoeKeys::kQwen) {
    SLIM_ASSIGN(model.moe, ReadQwenMoeConfig(config, row.architecture, model.num_layers));
  } else if (row.moe == MoeKeys::kDeepseek) {
    SLIM_ASSIGN(model.moe, ReadDeepseekMoeConfig(config, row.architecture, model.num_layers));
    SLIM_TRY(ReadCount(config, "num_nextn_predict_layers", kMostLayers, model.mtp_layers));
  }
  return {};
}

Result<ModelConfig> ParseTextConfig(const Json& config, const ArchitectureRow& row) {
  ModelConfig model;
  model.architecture = row.architecture;
  model.model_type = row.model_type;
  model.qk_norm = row.qk_norm;
  model.text_tower = row.text_tower;
  SLIM_TRY(ReadLayers(config, row, model));
  SLIM_TRY(ReadBiases(config, row, model));
  SLIM_TRY(ReadFlag(config, "tie_word_embeddings", model.tie_word_embeddings));
  double eps = model.rms_norm_eps;
  SLIM_TRY(ReadPositive(config, "rms_norm_eps", eps));
  model.rms_norm_eps = static_cast<float>(eps);
  std::string_view activation = "silu";
  SLIM_TRY(ReadText(config, "hidden_act", activation));
  if (activation != "silu") {
    return InputError(
        "CF-unsupported",
        fmt::format("config.json names the activation {}, slim knows silu", Quote(activation)));
  }
  SLIM_TRY(ReadRope(config, model));
  SLIM_TRY(ReadSlidingWindow(config, model));
  SLIM_ASSIGN(model.dtype, ConfigDType(config));
  SLIM_ASSIGN(model.eos_token_ids, ReadTokenIds(config, "eos_token_id"));
  SLIM_ASSIGN(const std::vector<int64_t> bos, ReadTokenIds(config, "bos_token_id"));
  if (!bos.empty()) model.bos_token_id = bos.front();
  return model;
}

}  // namespace

std::string_view ArchitectureName(Architecture architecture) {
  return kArchitectures[static_cast<size_t>(architecture)].model_type;
}

bool ModelConfig::IsMoeLayer(uint64_t layer) const {
  return moe && layer >= moe->first_layer && (layer + moe->step_shift) % moe->step == 0 &&
         !std::binary_search(moe->dense_layers.begin(), moe->dense_layers.end(), layer);
}

Result<std::optional<DType>> ConfigDType(const Json& config) {
  for (const std::string_view key : {"torch_dtype", "dtype"}) {
    const Json* value = FindConfigValue(config, key);
    if (value == nullptr) continue;
    const auto dtype = ParseModelDType(value->AsString().value_or(""));
    if (!dtype) return BadConfigValue(key, *value, "bfloat16, float16 or float32");
    return dtype;
  }
  return std::optional<DType>();
}

Result<ModelConfig> ParseModelConfig(const Json& config) {
  SLIM_ASSIGN(const ArchitectureRow* row, FindArchitecture(config));
  return row->text_tower ? ParseTextConfig(TextConfig(config), *row)
                         : ParseTextConfig(config, *row);
}

Result<GenerationConfig> ParseGenerationConfig(const Json& config) {
  GenerationConfig generation;
  SLIM_ASSIGN(generation.eos_token_ids, ReadTokenIds(config, "eos_token_id"));
  SLIM_TRY(ReadPositive(config, "temperature", generation.temperature));
  SLIM_TRY(ReadPositive(config, "top_p", generation.top_p));
  if (const Json* top_k = FindConfigValue(config, "top_k"); top_k != nullptr)
    generation.top_k = top_k->AsInteger();
  return generation;
}

}  // namespace slim
