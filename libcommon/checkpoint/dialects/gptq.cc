#include "checkpoint/dialects/gptq.h"

#include <fmt/format.h>

#include "base/text.h"
#include "checkpoint/dialects/module_layers.h"
#include "linear/packed_codes.h"

namespace slim {
namespace {

struct PackedConfig {
  int64_t bits = 0;
  std::string format;  // checkpoint_format of gptq, version of awq
};

class PackedInputs : public ModuleLayers {
 public:
  PackedInputs(const Checkpoint& source, bool awq) : ModuleLayers(source), awq_(awq) {}
  Status ReadConfig() override;

 protected:
  Result<std::optional<LogicalLayer>> LinearAt(const TensorEntry& anchor) override;
  Result<Tensor> ReadRole(const LogicalLayer& layer, Role role) const override;

 private:
  Error BadConfig(std::string message) const {
    return InputError("GQ-config", std::move(message)).WithPath(source_.path());
  }
  Status CheckKinds(const Json& config) const;
  Status CheckZeros(const LogicalLayer& layer, const TensorEntry& zeros) const;

  bool awq_;
  int bits_ = 4;
  bool zero_minus_one_ = true;
};

// A value of another kind means something to its writer that nobody here knows.
Status PackedInputs::CheckKinds(const Json& config) const {
  struct Kind {
    std::string_view wanted;
    bool (*holds)(const Json&);
  };
  static constexpr Kind kBool = {"true or false",
                                 [](const Json& v) { return v.AsBool().has_value(); }};
  static constexpr Kind kText = {"a text", [](const Json& v) { return v.is_string(); }};
  static constexpr Kind kInteger = {"an integer",
                                    [](const Json& v) { return v.AsInteger().has_value(); }};
  static constexpr std::pair<std::string_view, const Kind&> kKeys[] = {
      {"sym", kBool},
      {"desc_act", kBool},
      {"zero_point", kBool},
      {"version", kText},
      {"checkpoint_format", kText},
      {"group_size", kInteger},
      {"q_group_size", kInteger},
  };
  for (const auto& [key, kind] : kKeys) {
    const Json* value = config.Find(key);
    if (value == nullptr || value->is_null() || kind.holds(*value)) continue;
    return BadConfig(fmt::format("quantization_config: {} is {}, wanted {}", key, DumpJson(*value),
                                 kind.wanted));
  }
  return {};
}

Status PackedInputs::ReadConfig() {
  const Json* config = QuantizationConfig(source_);
  Json file;
  if (config == nullptr && source_.HasFile("quantize_config.json")) {
    SLIM_ASSIGN(const std::string text, source_.ReadSideFile("quantize_config.json"));
    SLIM_ASSIGN(file, ParseJson(text));
    config = &file;
  }
  if (config == nullptr || !config->is_object())
    return BadConfig("has neither quantization_config in config.json nor quantize_config.json");
  SLIM_TRY(CheckKinds(*config));
  const Json* bits = config->Find("bits");
  if (bits == nullptr) bits = config->Find("w_bit");
  const int64_t value = bits == nullptr ? 0 : bits->AsInteger().value_or(0);
  if (value != 4 && (awq_ || value != 8)) {
    return BadConfig(fmt::format("quantization_config: bits is {}, {} read",
                                 bits == nullptr ? "missing" : DumpJson(*bits),
                                 awq_ ? "4 is" : "4 and 8 are"));
  }
  bits_ = static_cast<int>(value);
  const Json* format = config->Find(awq_ ? "version" : "checkpoint_format");
  const std::string name(format == nullptr ? "" : ToLower(format->AsString().value_or("")));
  const std::string_view wanted = awq_ ? "gemm" : "gptq or gptq_v2";
  const bool known = name.empty() || (awq_ ? name == "gemm" : name == "gptq" || name == "gptq_v2");
  if (!known) {
    return BadConfig(fmt::format("quantization_config: {} is {}, read is {}",
                                 awq_ ? "version" : "checkpoint_format", Quote(name), wanted));
  }
  zero_minus_one_ = name != "gptq_v2";
  return {};
}

Status PackedInputs::CheckZeros(const LogicalLayer& layer, const TensorEntry& zeros) const {
  const uint64_t fields = 32 / static_cast<uint64_t>(bits_);
  SLIM_TRY(RequireDType(zeros, {DType::kI32, DType::kU32}));
  return RequireShape(zeros, {layer.groups(), layer.n() / fields});
}

Result<std::optional<LogicalLayer>> PackedInputs::LinearAt(const TensorEntry& anchor) {
  const auto [module, suffix] = SplitTensorName(anchor.name);
  if (suffix != "qweight") return std::optional<LogicalLayer>();
  SLIM_TRY(RequireDType(anchor, {DType::kI32, DType::kU32}));
  if (anchor.shape.size() != 2) SLIM_TRY(RequireShape(anchor, {0, 0}));
  SLIM_ASSIGN(const TensorEntry* scales, Need(module, "scales"));
  SLIM_ASSIGN(const TensorEntry* zeros, Need(module, "qzeros"));
  LogicalLayer layer;
  layer.name = module;
  layer.is_linear = true;
  layer.scheme = bits_ == 8 ? Scheme::kW8A16 : Scheme::kW4A16;
  layer.note = fmt::format("unpacked from {} words", awq_ ? "AWQ" : "GPTQ");
  layer.sources = {&anchor, scales, zeros};
  const uint64_t fields = 32 / static_cast<uint64_t>(bits_);
  const Shape logical = awq_ ? Shape{anchor.shape[1] * fields, anchor.shape[0]}
                             : Shape{anchor.shape[1], anchor.shape[0] * fields};
  layer.part(Role::kWeight) = PartSpec{DType::kI8, logical};
  SLIM_TRY(RequireDType(*scales, {DType::kF16, DType::kBF16, DType::kF32}));
  const bool matrix = scales->shape.size() == 2 && scales->shape[0] > 0 &&
                      scales->shape[1] == layer.n() && layer.n() > 0 && layer.k() > 0;
  if (!matrix) SLIM_TRY(RequireShape(*scales, {1, layer.n()}));
  const uint64_t groups = scales->shape[0];
  if (layer.k() % groups != 0 || layer.n() % fields != 0) {
    return Refuse(anchor, "LIN-group-size",
                  fmt::format("[n, k] = {} does not divide by {} groups and {} codes a word",
                              ShapeText(logical), groups, fields));
  }
  layer.part(Role::kWeightScale) = PartSpec{scales->dtype, {layer.n(), groups}};
  layer.part(Role::kWeightOffset) = PartSpec{DType::kF32, {layer.n(), groups}};
  SLIM_TRY(CheckZeros(layer, *zeros));
  const TensorEntry* order = awq_ ? nullptr : Part(module, "g_idx");
  if (order != nullptr) {
    SLIM_ASSIGN(layer.column_groups, ReadColumnGroups(*order, layer.k(), groups));
    layer.sources.push_back(order);
  }
  SLIM_TRY(TakeBias(layer));
  return std::optional(std::move(layer));
}

Result<Tensor> PackedInputs::ReadRole(const LogicalLayer& layer, Role role) const {
  if (role == Role::kBias) return source_.Read(*Part(layer.name, "bias"));
  if (role == Role::kWeightScale) {
    SLIM_ASSIGN(const Tensor scales, source_.Read(*layer.sources[1]));
    return Transposed(scales);
  }
  if (role == Role::kWeightOffset) {
    SLIM_ASSIGN(const Tensor zeros, source_.Read(*layer.sources[2]));
    const auto words = zeros.as<uint32_t>();
    return awq_ ? UnpackAwqZeros(words, layer.n(), layer.groups())
                : UnpackGptqZeros(words, layer.n(), layer.groups(), bits_, zero_minus_one_);
  }
  SLIM_ASSIGN(const Tensor words, source_.Read(*layer.sources[0]));
  return awq_ ? UnpackAwqCodes(words.as<uint32_t>(), layer.n(), layer.k())
              : UnpackGptqCodes(words.as<uint32_t>(), layer.n(), layer.k(), bits_);
}

}  // namespace

Result<std::unique_ptr<LayerReader>> OpenGptq(const Checkpoint& source,
                                              std::vector<Error>* problems) {
  return OpenModuleLayers<PackedInputs>(problems, source, false);
}
Result<std::unique_ptr<LayerReader>> OpenAwq(const Checkpoint& source,
                                             std::vector<Error>* problems) {
  return OpenModuleLayers<PackedInputs>(problems, source, true);
}

}  // namespace slim
