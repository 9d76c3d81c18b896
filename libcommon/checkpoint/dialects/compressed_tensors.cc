#include "checkpoint/dialects/compressed_tensors.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/checked.h"
#include "base/text.h"
#include "checkpoint/dialects/module_layers.h"
#include "linear/packed_codes.h"

namespace slim {
namespace {

// One member of config_groups, as far as it decides the form of a layer.
struct Group {
  std::vector<std::string> targets;
  int64_t bits = 8;
  bool is_float = false;
  std::array<uint64_t, 2> block{};
  enum class Activations : uint8_t { kNone, kStatic, kDynamic } activations = Activations::kNone;
  int64_t activation_bits = 0;
};

Error BadConfig(const Checkpoint& source, std::string message) {
  return InputError("CT-config", "quantization_config: " + std::move(message))
      .WithPath(JoinPath(source.path(), "config.json"));
}

std::string_view TextOf(const Json& object, std::string_view key) {
  const Json* value = object.Find(key);
  return value == nullptr ? "" : value->AsString().value_or("");
}

// [rows, columns], or the "128x128" of older writers.
std::optional<std::array<uint64_t, 2>> BlockOf(const Json& weights) {
  const Json* value = weights.Find("block_structure");
  if (value == nullptr || value->is_null()) return std::nullopt;
  std::array<uint64_t, 2> block{};
  if (value->is_array() && value->items().size() == 2) {
    for (size_t i = 0; i < 2; ++i)
      block[i] =
          static_cast<uint64_t>(std::max<int64_t>(value->items()[i].AsInteger().value_or(0), 0));
  } else if (value->AsString() == "128x128") {
    block = {128, 128};
  }
  return block;
}

// "re:.*down_proj$" means the modules that end in it; other patterns are not understood.
bool Targets(const std::string& target, std::string_view module) {
  if (target == "Linear" || target == module) return true;
  constexpr std::string_view kAnything = "re:.*";
  std::string_view pattern = target;
  if (!pattern.starts_with(kAnything)) return false;
  pattern.remove_prefix(kAnything.size());
  if (pattern.ends_with('$')) pattern.remove_suffix(1);
  std::string literal;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
    literal += pattern[i];
  }
  return module.ends_with(literal);
}

class CompressedTensors : public ModuleLayers {
 public:
  using ModuleLayers::ModuleLayers;
  Status ReadConfig() override;

 protected:
  Result<std::optional<LogicalLayer>> LinearAt(const TensorEntry& anchor) override;
  Result<Tensor> ReadRole(const LogicalLayer& layer, Role role) const override;
  Status AddRest(const TensorEntry& entry) override;

 private:
  Status CheckFormat(const Json& config) const;
  Result<Group> ParseGroup(const Json& json) const;
  Result<const Group*> GroupOf(const TensorEntry& entry, std::string_view module, bool is_float,
                               bool packed) const;
  Result<LogicalLayer> PackedLayer(const TensorEntry& packed, std::string_view module);
  Result<LogicalLayer> PlainCodes(const TensorEntry& weight, std::string_view module);
  Status TakeScale(LogicalLayer& layer, const Group& group) const;
  Status TakeActivations(LogicalLayer& layer, const Group& group) const;

  std::vector<Group> groups_;
};

Result<Group> CompressedTensors::ParseGroup(const Json& json) const {
  Group group;
  const Json* targets = json.Find("targets");
  if (targets != nullptr) {
    for (const Json& target : targets->items()) group.targets.push_back(target.text());
  }
  const Json* weights = json.Find("weights");
  if (weights == nullptr || !weights->is_object())
    return BadConfig(source_, "a member of config_groups has no weights");
  const Json* bits = weights->Find("num_bits");
  group.bits = bits == nullptr ? 8 : bits->AsInteger().value_or(0);
  group.is_float = TextOf(*weights, "type") == "float";
  group.block = BlockOf(*weights).value_or(std::array<uint64_t, 2>{});
  if (group.bits != 4 && group.bits != 8)
    return BadConfig(source_, fmt::format("weights have {} bits, 4 and 8 are read", group.bits));
  if (group.is_float && group.bits != 8)
    return BadConfig(source_, "4-bit float weights (NVFP4, MXFP4) are not read");
  const Json* input = json.Find("input_activations");
  if (input == nullptr || !input->is_object()) return group;
  const Json* dynamic = input->Find("dynamic");
  const Json* input_bits = input->Find("num_bits");
  group.activation_bits = input_bits == nullptr ? 8 : input_bits->AsInteger().value_or(0);
  group.activations = dynamic != nullptr && dynamic->AsBool().value_or(true)
                          ? Group::Activations::kDynamic
                          : Group::Activations::kStatic;
  return group;
}

Status CompressedTensors::CheckFormat(const Json& config) const {
  constexpr std::array<std::string_view, 6> kFormats = {"int-quantized",   "float-quantized",
                                                        "naive-quantized", "pack-quantized",
                                                        "mixed-precision", "dense"};
  const Json* format = config.Find("format");
  if (format != nullptr && !format->is_null() &&
      std::ranges::find(kFormats, format->AsString().value_or("")) == kFormats.end())
    return BadConfig(source_, fmt::format("format is {}, read are {}", DumpJson(*format),
                                          fmt::join(kFormats, ", ")));
  const Json* ignore = config.Find("ignore");
  const bool texts = ignore == nullptr || ignore->is_null() ||
                     (ignore->is_array() && std::ranges::all_of(ignore->items(), &Json::is_string));
  if (texts) return {};
  return BadConfig(source_, fmt::format("ignore is {}, wanted a list of texts", DumpJson(*ignore)));
}

Status CompressedTensors::ReadConfig() {
  const Json* config = QuantizationConfig(source_);
  if (config == nullptr) return BadConfig(source_, "is missing");
  for (const std::string_view key : {"transform_config", "sparsity_config"}) {
    const Json* value = config->Find(key);
    if (value != nullptr && value->is_object() && !value->members().empty() &&
        TextOf(*value, "format") != "dense")
      return BadConfig(source_, fmt::format("{} is not empty: it is not read", key));
  }
  SLIM_TRY(CheckFormat(*config));
  const Json* cache = config->Find("kv_cache_scheme");
  if (cache != nullptr && !cache->is_null())
    notes_.emplace_back("the scales of the quantized KV cache are left out");
  const Json* groups = config->Find("config_groups");
  if (groups == nullptr || !groups->is_object() || groups->members().empty())
    return BadConfig(source_, "has no config_groups");
  for (const auto& [name, json] : groups->members()) {
    if (!json.is_object())
      return BadConfig(source_,
                       fmt::format("group {} is a preset, which is not read", Quote(name)));
    SLIM_ASSIGN(Group group, ParseGroup(json));
    groups_.push_back(std::move(group));
  }
  return {};
}

Result<const Group*> CompressedTensors::GroupOf(const TensorEntry& entry, std::string_view module,
                                                bool is_float, bool packed) const {
  std::vector<const Group*> fitting;
  for (const Group& group : groups_) {
    if (group.is_float == is_float && (packed || group.bits == 8)) fitting.push_back(&group);
  }
  if (fitting.size() > 1) {
    std::erase_if(fitting, [&](const Group* group) {
      return std::ranges::none_of(group->targets, [&](const std::string& target) {
        return target != "Linear" && Targets(target, module);
      });
    });
  }
  if (fitting.size() == 1) return fitting.front();
  return Refuse(entry, "CT-config",
                fmt::format("{} groups of quantization_config describe it, wanted one",
                            fitting.empty() ? "no" : "several"));
}

Result<std::optional<LogicalLayer>> CompressedTensors::LinearAt(const TensorEntry& anchor) {
  const auto [module, suffix] = SplitTensorName(anchor.name);
  const bool codes = anchor.dtype == DType::kI8 || anchor.dtype == DType::kF8E4M3;
  if (suffix == "weight_packed") {
    SLIM_ASSIGN(LogicalLayer layer, PackedLayer(anchor, module));
    return std::optional(std::move(layer));
  }
  if (suffix != "weight" || !codes) return std::optional<LogicalLayer>();
  SLIM_ASSIGN(LogicalLayer layer, PlainCodes(anchor, module));
  return std::optional(std::move(layer));
}

Result<LogicalLayer> CompressedTensors::PackedLayer(const TensorEntry& packed,
                                                    std::string_view module) {
  SLIM_ASSIGN(const Group* group, GroupOf(packed, module, false, true));
  SLIM_TRY(RequireDType(packed, {DType::kI32}));
  SLIM_ASSIGN(const TensorEntry* shape, Need(module, "weight_shape"));
  if (ElementCount(shape->shape) != 2) SLIM_TRY(RequireShape(*shape, {2}));
  SLIM_ASSIGN(const Tensor sizes, source_.Read(*shape));
  LogicalLayer layer;
  layer.name = module;
  layer.is_linear = true;
  layer.note = fmt::format("unpacked from {} bits", group->bits);
  layer.sources = {&packed, shape};
  Shape logical;
  for (uint64_t i = 0; i < 2; ++i) {
    const double size = ElementAsDouble(sizes.view(), i);
    if (!(size >= 1 && size <= 0x1p31)) return Refuse(*shape, "LIN-shape", "is no shape");
    logical.push_back(static_cast<uint64_t>(size));
  }
  layer.part(Role::kWeight) = PartSpec{DType::kI8, logical};
  const uint64_t fields = 32 / static_cast<uint64_t>(group->bits);
  SLIM_TRY(RequireShape(packed, {layer.n(), CeilDiv(layer.k(), fields)}));
  const bool dynamic = group->activations == Group::Activations::kDynamic;
  layer.scheme = group->bits == 4 ? (dynamic ? Scheme::kW4A8Dynamic : Scheme::kW4A16)
                                  : (dynamic ? Scheme::kW8A8Dynamic : Scheme::kW8A16);
  if (group->activations == Group::Activations::kStatic)
    return Refuse(packed, "CV-scheme", "has static activations beside packed weights");
  SLIM_TRY(TakeScale(layer, *group));
  const TensorEntry* zero = Part(module, "weight_zero_point");
  if (zero != nullptr) {
    SLIM_TRY(RequireDType(*zero, {DType::kI32}));
    SLIM_TRY(RequireShape(*zero, {CeilDiv(layer.n(), fields), layer.groups()}));
    layer.part(Role::kWeightOffset) = PartSpec{DType::kF32, {layer.n(), layer.groups()}};
    layer.sources.push_back(zero);
  }
  const TensorEntry* order = Part(module, "weight_g_idx");
  if (order != nullptr) {
    SLIM_ASSIGN(layer.column_groups, ReadColumnGroups(*order, layer.k(), layer.groups()));
    layer.sources.push_back(order);
  }
  SLIM_TRY(TakeBias(layer));
  return layer;
}

Result<LogicalLayer> CompressedTensors::PlainCodes(const TensorEntry& weight,
                                                   std::string_view module) {
  const bool is_float = weight.dtype == DType::kF8E4M3;
  SLIM_ASSIGN(const Group* group, GroupOf(weight, module, is_float, false));
  if (weight.shape.size() != 2) SLIM_TRY(RequireShape(weight, {0, 0}));
  LogicalLayer layer;
  layer.name = module;
  layer.is_linear = true;
  layer.sources = {&weight};
  layer.part(Role::kWeight) = PartSpec{weight.dtype, weight.shape};
  if (is_float) {
    layer.scheme = Scheme::kWFP8AFP8Dynamic;
    layer.block = group->block;
  } else {
    layer.scheme = group->activations == Group::Activations::kDynamic  ? Scheme::kW8A8Dynamic
                   : group->activations == Group::Activations::kStatic ? Scheme::kW8A8
                                                                       : Scheme::kW8A16;
  }
  if (group->activations != Group::Activations::kNone && group->activation_bits != 8)
    return Refuse(weight, "CV-scheme",
                  fmt::format("has {}-bit activations, 8 are read", group->activation_bits));
  SLIM_TRY(TakeScale(layer, *group));
  const TensorEntry* zero = Part(module, "weight_zero_point");
  if (zero != nullptr) {
    SLIM_TRY(RequireDType(*zero, {DType::kI8, DType::kF32, DType::kF16, DType::kBF16}));
    layer.part(Role::kWeightOffset) = PartSpec{DType::kF32, {layer.n(), layer.groups()}};
    layer.sources.push_back(zero);
  }
  SLIM_TRY(TakeActivations(layer, *group));
  SLIM_TRY(TakeBias(layer));
  return layer;
}

// [n, groups], [n], or one scale for all; FP8 blocks [⌈n/rows⌉, ⌈k/columns⌉].
Status CompressedTensors::TakeScale(LogicalLayer& layer, const Group& /*group*/) const {
  SLIM_ASSIGN(const TensorEntry* scale, Need(layer.name, "weight_scale"));
  SLIM_TRY(RequireDType(*scale, {DType::kF32, DType::kF16, DType::kBF16}));
  Shape shape = scale->shape;
  if (layer.block[0] > 0 && layer.block[1] > 0) {
    SLIM_TRY(RequireShape(
        *scale, {CeilDiv(layer.n(), layer.block[0]), CeilDiv(layer.k(), layer.block[1])}));
  } else if (ElementCount(shape) == 1 || shape.size() < 2) {
    shape = {layer.n(), 1};
    if (ElementCount(scale->shape) != 1) SLIM_TRY(RequireShape(*scale, {layer.n()}));
  } else if (shape.size() != 2 || shape[0] != layer.n() || shape[1] == 0 ||
             layer.k() % shape[1] != 0) {
    return RequireShape(*scale, {layer.n(), 1});
  }
  layer.part(Role::kWeightScale) = PartSpec{scale->dtype, shape};
  layer.sources.push_back(scale);
  return {};
}

Status CompressedTensors::TakeActivations(LogicalLayer& layer, const Group& group) const {
  if (group.activations != Group::Activations::kStatic) return {};
  SLIM_ASSIGN(const TensorEntry* scale, Need(layer.name, "input_scale"));
  if (layer.scheme != Scheme::kW8A8) {
    return Refuse(*scale, "CV-scheme", "is a static FP8 activation scale, which has no counterpart",
                  "quantize the float model again");
  }
  SLIM_TRY(RequireDType(*scale, {DType::kF32, DType::kF16, DType::kBF16}));
  if (ElementCount(scale->shape) != 1) SLIM_TRY(RequireShape(*scale, {1}));
  layer.part(Role::kInputScale) = PartSpec{scale->dtype, {1}};
  layer.sources.push_back(scale);
  const TensorEntry* zero = Part(layer.name, "input_zero_point");
  if (zero == nullptr) return {};
  // msModelSlim stores it in a float dtype.
  SLIM_TRY(RequireDType(*zero, {DType::kI8, DType::kF32, DType::kF16, DType::kBF16}));
  if (ElementCount(zero->shape) != 1) SLIM_TRY(RequireShape(*zero, {1}));
  layer.part(Role::kInputOffset) = PartSpec{zero->dtype, {1}};
  layer.sources.push_back(zero);
  return {};
}

Result<Tensor> CompressedTensors::ReadRole(const LogicalLayer& layer, Role role) const {
  const PartSpec& wanted = *layer.part(role);
  const bool packed = Part(layer.name, "weight_packed") != nullptr;
  const int bits = SchemeWeightBits(layer.scheme) == 4 ? 4 : 8;
  if (role == Role::kWeight && packed) {
    SLIM_ASSIGN(const Tensor words, source_.Read(*layer.sources.front()));
    return UnpackCtCodes(words.as<uint32_t>(), layer.n(), layer.k(), bits);
  }
  if (role == Role::kInputOffset) {
    return ReadPartAs(source_, *Part(layer.name, "input_zero_point"), wanted.shape);
  }
  if (role == Role::kWeightOffset) {
    SLIM_ASSIGN(const Tensor zero, source_.Read(*Part(layer.name, "weight_zero_point")));
    if (packed) return UnpackCtZeros(zero.as<uint32_t>(), layer.n(), layer.groups(), bits);
    return Expanded(zero, wanted);
  }
  SLIM_ASSIGN(Tensor part, source_.Read(*Part(layer.name, RoleSuffix(role))));
  if (part.elements() == ElementCount(wanted.shape)) {
    part.shape = wanted.shape;
    return part;
  }
  return Expanded(part, wanted);
}

Status CompressedTensors::AddRest(const TensorEntry& entry) {
  const std::string_view suffix = SplitTensorName(entry.name).suffix;
  if (suffix == "k_scale" || suffix == "v_scale" || suffix == "k_zero_point" ||
      suffix == "v_zero_point") {
    dropped_.push_back({&entry, "belongs to the quantized KV cache"});
    return {};
  }
  return ModuleLayers::AddRest(entry);
}

}  // namespace

Result<std::unique_ptr<LayerReader>> OpenCompressedTensors(const Checkpoint& source,
                                                           std::vector<Error>* problems) {
  return OpenModuleLayers<CompressedTensors>(problems, source);
}

}  // namespace slim
