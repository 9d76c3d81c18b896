#include "checkpoint/dialects/gguf_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "checkpoint/dialects/gguf_names.h"
#include "checkpoint/dialects/rotary_factors.h"

namespace slim {
namespace {

struct Key {
  std::string_view gguf;  // after the architecture's name
  std::string_view hf;
  bool is_real;
  bool needed;
};
constexpr Key kKeys[] = {
    {"embedding_length", "hidden_size", false, true},
    {"feed_forward_length", "intermediate_size", false, true},
    {"block_count", "num_hidden_layers", false, true},
    {"attention.head_count", "num_attention_heads", false, true},
    {"attention.head_count_kv", "num_key_value_heads", false, false},
    {"attention.key_length", "head_dim", false, false},
    {"context_length", "max_position_embeddings", false, true},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", true, true},
    {"rope.freq_base", "rope_theta", true, false},
    {"attention.sliding_window", "sliding_window", false, false},
};
struct TokenKey {
  std::string_view gguf;
  std::string_view hf;
};
constexpr TokenKey kTokens[] = {{"tokenizer.ggml.bos_token_id", "bos_token_id"},
                                {"tokenizer.ggml.eos_token_id", "eos_token_id"},
                                {"tokenizer.ggml.padding_token_id", "pad_token_id"}};

constexpr std::string_view kLlama3 = "llama3";  // its scaling is a tensor
constexpr double kDefaultTheta = 10000;         // of transformers and llama.cpp

Error Bad(std::string message, std::string hint = "") {
  return InputError("GG-metadata", std::move(message), std::move(hint));
}

// A float32 as the shortest decimal that reads back as it, so that 1e-6 stays 1e-6.
Json ShortReal(double value) {
  return Json::Real(std::stod(fmt::format("{}", static_cast<float>(value))));
}

const GgufTensor* FindTensor(const GgufHeader& header, std::string_view name) {
  const auto found = std::ranges::find(header.tensors, name, &GgufTensor::name);
  return found == header.tensors.end() ? nullptr : &*found;
}

std::string_view DTypeOfTensors(const GgufHeader& header) {
  bool f16 = false;
  bool q8 = false;
  for (const GgufTensor& tensor : header.tensors) {
    if (tensor.shape.size() < 2) continue;
    if (tensor.type->dtype == DType::kBF16) return "bfloat16";
    f16 = f16 || tensor.type->dtype == DType::kF16;
    q8 = q8 || tensor.type->id == kGgmlQ8_0;
  }
  return f16 || q8 ? "float16" : "float32";  // the scales of Q8_0 are F16
}

class ConfigBuilder {
 public:
  ConfigBuilder(const GgufHeader& header, std::span<const float> rotary_factors)
      : header_(header), rotary_factors_(rotary_factors) {}

  Result<std::string> Run();

 private:
  const GgufValue* Find(std::string_view key) const {
    return header_.Find(fmt::format("{}.{}", architecture_->name, key));
  }
  Status AddKeys();
  Status AddRope();
  Status AddRotaryFactors();
  void AddTensorFacts();

  const GgufHeader& header_;
  const std::span<const float> rotary_factors_;
  const GgufArchitecture* architecture_ = nullptr;
  Json config_ = Json::Object();
};

Status ConfigBuilder::AddKeys() {
  for (const Key& key : kKeys) {
    const GgufValue* value = Find(key.gguf);
    if (value == nullptr) {
      if (!key.needed) continue;
      return Bad(fmt::format("the metadata has no {}.{}, which becomes config.json's {}",
                             architecture_->name, key.gguf, key.hf),
                 "put the float model's config.json beside the file");
    }
    const auto number = value->AsReal();
    const auto integer = value->AsInteger();
    if (key.is_real ? !number || !std::isfinite(*number) || *number <= 0
                    : !integer || *integer <= 0) {
      return Bad(fmt::format("{}.{} is no positive number", architecture_->name, key.gguf));
    }
    config_.Set(key.hf, key.is_real ? ShortReal(*number) : Json(*integer));
  }
  return {};
}

Status ConfigBuilder::AddRotaryFactors() {
  const Json* theta = config_.Find("rope_theta");
  const auto scaling = ScalingOfRotaryFactors(
      rotary_factors_, theta == nullptr ? kDefaultTheta : theta->AsDouble().value_or(0));
  if (!scaling) {
    return Bad("holds a rotary scaling whose rope_scaling cannot be rebuilt",
               "put the float model's config.json beside the file")
        .WithTensor(std::string(kRotaryFactors));
  }
  config_.Set("rope_scaling", scaling->ToJson());
  return {};
}

Status ConfigBuilder::AddRope() {
  if (FindTensor(header_, kRotaryFactors) != nullptr) return AddRotaryFactors();
  const GgufValue* type = Find("rope.scaling.type");
  if (type == nullptr || type->AsText() == nullptr || *type->AsText() == "none") return {};
  const std::string& name = *type->AsText();
  const GgufValue* factor = Find("rope.scaling.factor");
  if ((name != "linear" && name != "yarn") || factor == nullptr || !factor->AsReal()) {
    return Bad(fmt::format("the rotary scaling {} cannot be rebuilt", Quote(name)),
               "put the float model's config.json beside the file");
  }
  Json scaling = Json::Object();
  scaling.Set("rope_type", name);
  scaling.Set("factor", ShortReal(*factor->AsReal()));
  const GgufValue* original = Find("rope.scaling.original_context_length");
  if (original != nullptr && original->AsInteger())
    scaling.Set("original_max_position_embeddings", *original->AsInteger());
  config_.Set("rope_scaling", std::move(scaling));
  return {};
}

void ConfigBuilder::AddTensorFacts() {
  const GgufTensor* embedding = FindTensor(header_, "token_embd.weight");
  if (embedding != nullptr) config_.Set("vocab_size", embedding->shape.front());
  config_.Set("tie_word_embeddings", FindTensor(header_, "output.weight") == nullptr);
  if (architecture_->name != "qwen2") {
    config_.Set("attention_bias", FindTensor(header_, "blk.0.attn_q.bias") != nullptr);
    if (architecture_->name == "llama")
      config_.Set("mlp_bias", FindTensor(header_, "blk.0.ffn_gate.bias") != nullptr);
  }
  for (const TokenKey& key : kTokens) {
    const GgufValue* value = header_.Find(key.gguf);
    if (value != nullptr && value->AsInteger()) config_.Set(key.hf, *value->AsInteger());
  }
}

Result<std::string> ConfigBuilder::Run() {
  const GgufValue* name = header_.Find("general.architecture");
  if (name == nullptr || name->AsText() == nullptr)
    return Bad("the metadata has no general.architecture");
  architecture_ = GgufArchitectureByName(*name->AsText());
  if (architecture_ == nullptr) {
    return Bad(fmt::format("general.architecture is {}", Quote(*name->AsText())),
               "known: " + GgufArchitectureNames());
  }
  Json classes = Json::Array();
  classes.Push(architecture_->class_name);
  config_.Set("architectures", std::move(classes));
  config_.Set("model_type", architecture_->model_type);
  config_.Set("hidden_act", "silu");
  SLIM_TRY(AddKeys());
  SLIM_TRY(AddRope());
  AddTensorFacts();
  config_.Set("torch_dtype", DTypeOfTensors(header_));
  return DumpJson(config_, {.indent = 2}) + "\n";
}

const Json* FindNumber(const Json& config, std::string_view key) {
  const Json* value = config.Find(key);
  if (value == nullptr || value->is_null()) {
    const Json* rope = config.Find("rope_parameters");
    value = rope != nullptr && rope->is_object() ? rope->Find(key) : nullptr;
  }
  return value != nullptr && value->is_number() ? value : nullptr;
}

struct RopeScaling {
  const Json* entries = nullptr;  // null where the model scales nothing
  std::string type = "default";
};

RopeScaling FindRopeScaling(const Json& config) {
  RopeScaling scaling;
  scaling.entries = config.Find("rope_scaling");
  if (scaling.entries == nullptr || scaling.entries->is_null())
    scaling.entries = config.Find("rope_parameters");
  if (scaling.entries == nullptr || !scaling.entries->is_object()) return {};
  const Json* type = scaling.entries->Find("rope_type");
  if (type == nullptr) type = scaling.entries->Find("type");
  if (type != nullptr) scaling.type = type->AsString().value_or("");
  return scaling;
}

Status AddRopeScaling(const Json& config, const std::string& prefix, GgufMetadata& metadata) {
  const auto [scaling, name] = FindRopeScaling(config);
  if (name == "default" || name == kLlama3) return {};
  const Json* factor = scaling->Find("factor");
  if ((name != "linear" && name != "yarn") || factor == nullptr || !factor->AsDouble())
    return Bad(
        fmt::format("config.json's rotary scaling {} has no form in GGUF metadata", Quote(name)));
  metadata.emplace_back(prefix + "rope.scaling.type", GgufValue::Text(name));
  metadata.emplace_back(prefix + "rope.scaling.factor", GgufValue::F32(*factor->AsDouble()));
  const Json* original = scaling->Find("original_max_position_embeddings");
  if (original != nullptr && original->AsInteger().value_or(0) > 0) {
    metadata.emplace_back(prefix + "rope.scaling.original_context_length",
                          GgufValue::U32(static_cast<uint64_t>(*original->AsInteger())));
  }
  return {};
}

int64_t SizeOf(const Json& config, std::string_view key) {
  const Json* value = FindNumber(config, key);
  return value == nullptr ? 0 : value->AsInteger().value_or(0);
}

int64_t HeadDim(const Json& config) {
  const int64_t head = SizeOf(config, "head_dim");
  if (head > 0) return head;
  return SizeOf(config, "hidden_size") /
         std::max<int64_t>(SizeOf(config, "num_attention_heads"), 1);
}

bool SlidesItsWindow(const Json& config) {
  const Json* use = config.Find("use_sliding_window");
  return use == nullptr || use->AsBool().value_or(true);
}

}  // namespace

Result<std::string> ConfigOfGguf(const GgufHeader& header, std::span<const float> rotary_factors) {
  return ConfigBuilder(header, rotary_factors).Run();
}

Result<std::vector<float>> RotaryFactorsOfConfig(const Json& config) {
  const auto [entries, type] = FindRopeScaling(config);
  if (type != kLlama3) return std::vector<float>();
  const auto scaling = Llama3Scaling::Of(*entries);
  if (!scaling) return Bad("config.json's rope_scaling of type llama3 is not complete");
  const Json* theta = FindNumber(config, "rope_theta");
  const int64_t half = HeadDim(config) / 2;
  if (half <= 0) return Bad("config.json does not say how large a head is");
  return RotaryFactors(*scaling,
                       theta == nullptr ? kDefaultTheta : theta->AsDouble().value_or(kDefaultTheta),
                       static_cast<uint64_t>(half));
}

Result<GgufMetadata> GgufOfConfig(const Json& config) {
  const Json* type = config.Find("model_type");
  const std::string model_type(type == nullptr ? "" : type->AsString().value_or(""));
  const GgufArchitecture* architecture = GgufArchitectureByModelType(model_type);
  if (architecture == nullptr) {
    return Bad(fmt::format("config.json's model_type {} is none that slim writes as GGUF",
                           Quote(model_type)),
               "known: llama, mistral, qwen2, qwen3");
  }
  GgufMetadata metadata;
  const std::string prefix = fmt::format("{}.", architecture->name);
  metadata.emplace_back("general.architecture", GgufValue::Text(std::string(architecture->name)));
  metadata.emplace_back("general.type", GgufValue::Text("model"));
  for (const Key& key : kKeys) {
    if (key.hf == "sliding_window" && !SlidesItsWindow(config)) continue;
    const Json* value = FindNumber(config, key.hf);
    if (value == nullptr) {
      if (key.needed) return Bad(fmt::format("config.json has no {}", key.hf));
      continue;
    }
    const double number = value->AsDouble().value_or(0);
    if (!(number > 0) || number > 1e12)
      return Bad(fmt::format("config.json's {} is {}", key.hf, DumpJson(*value)));
    metadata.emplace_back(
        prefix + std::string(key.gguf),
        key.is_real ? GgufValue::F32(number) : GgufValue::U32(static_cast<uint64_t>(number)));
  }
  const auto head = static_cast<uint64_t>(HeadDim(config));
  metadata.emplace_back(prefix + "attention.value_length", GgufValue::U32(head));
  metadata.emplace_back(prefix + "rope.dimension_count", GgufValue::U32(head));
  metadata.emplace_back(
      prefix + "vocab_size",
      GgufValue::U32(static_cast<uint64_t>(std::max<int64_t>(SizeOf(config, "vocab_size"), 0))));
  SLIM_TRY(AddRopeScaling(config, prefix, metadata));
  return metadata;
}

}  // namespace slim
