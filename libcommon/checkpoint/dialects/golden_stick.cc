#include "checkpoint/dialects/golden_stick.h"

#include <fmt/format.h>

#include "base/text.h"
#include "checkpoint/dialects/golden_stick_ranks.h"
#include "checkpoint/dialects/module_layers.h"
#include "linear/packed_codes.h"

namespace slim {
namespace {

constexpr std::initializer_list<DType> kFloats = {DType::kF32, DType::kF16, DType::kBF16};

class GoldenStick : public ModuleLayers {
 public:
  using ModuleLayers::ModuleLayers;
  Status CheckDescription() const;

 protected:
  Result<std::optional<LogicalLayer>> LinearAt(const TensorEntry& anchor) override;
  Result<Tensor> ReadRole(const LogicalLayer& layer, Role role) const override;
  Status AddRest(const TensorEntry& entry) override;

 private:
  Status TakeScales(LogicalLayer& layer, bool transposed) const;
  Status TakeStatic(LogicalLayer& layer) const;
};

Status GoldenStick::CheckDescription() const {
  if (source_.description() == nullptr) {
    return InputError("IN-missing", "no such file", "copy it from the quantized checkpoint")
        .WithPath(JoinPath(source_.path(), kGoldenStickDescription));
  }
  for (const QuantDescription::Entry& entry : source_.description()->entries()) {
    if (!entry.is_tensor || source_.Find(entry.key) != nullptr) continue;
    return InputError("CK-missing-tensor", "is in the description, and no weight file has it",
                      "fetch the missing file")
        .WithTensor(entry.key)
        .WithPath(source_.path());
  }
  return {};
}

Result<std::optional<LogicalLayer>> GoldenStick::LinearAt(const TensorEntry& anchor) {
  const auto [module, suffix] = SplitTensorName(anchor.name);
  const std::string* label = source_.description()->Label(anchor.name);
  if (label == nullptr)
    return Refuse(anchor, "CK-missing-label", "has no entry in quantization_description.json");
  if (suffix != "weight" || *label == "FLOAT") return std::optional<LogicalLayer>();
  LogicalLayer layer;
  layer.name = module;
  layer.is_linear = true;
  layer.sources = {&anchor};
  const auto scheme = ParseSchemeLabel(*label);
  const bool known = scheme == Scheme::kW8A8 || scheme == Scheme::kW8A8Dynamic ||
                     scheme == Scheme::kW8A16 || scheme == Scheme::kW4A16;
  if (!known) return Refuse(anchor, "CV-scheme", fmt::format("has label {}", Quote(*label)));
  layer.scheme = *scheme;
  SLIM_TRY(RequireDType(anchor, {DType::kI8}));
  if (anchor.shape.size() != 2) SLIM_TRY(RequireShape(anchor, {0, 0}));
  const bool int4 = scheme == Scheme::kW4A16;
  const Shape logical = int4 ? Shape{anchor.shape[1] * 2, anchor.shape[0]} : anchor.shape;
  layer.part(Role::kWeight) = PartSpec{DType::kI8, logical};
  if (int4) layer.note = "int4 unpacked from its transposed form";
  SLIM_TRY(TakeScales(layer, int4));
  if (scheme == Scheme::kW8A8) SLIM_TRY(TakeStatic(layer));
  SLIM_TRY(TakeBias(layer));
  return std::optional(std::move(layer));
}

// weight_scale and weight_offset [n]; of int4 [k / g, n].
Status GoldenStick::TakeScales(LogicalLayer& layer, bool transposed) const {
  SLIM_ASSIGN(const TensorEntry* scale, Need(layer.name, "weight_scale"));
  SLIM_TRY(RequireDType(*scale, kFloats));
  uint64_t groups = 1;
  if (transposed) {
    const bool matrix = scale->shape.size() == 2 && scale->shape[0] > 0 &&
                        scale->shape[1] == layer.n() && layer.k() % scale->shape[0] == 0;
    if (!matrix) SLIM_TRY(RequireShape(*scale, {1, layer.n()}));
    groups = scale->shape[0];
  } else {
    SLIM_TRY(RequireShape(*scale, {layer.n()}));
  }
  layer.part(Role::kWeightScale) = PartSpec{scale->dtype, {layer.n(), groups}};
  layer.sources.push_back(scale);
  const TensorEntry* offset = Part(layer.name, "weight_offset");
  if (offset == nullptr) return {};
  SLIM_TRY(RequireShape(*offset, scale->shape));
  SLIM_TRY(RequireDType(*offset, {DType::kI32}));
  layer.part(Role::kWeightOffset) = PartSpec{DType::kF32, {layer.n(), groups}};
  layer.sources.push_back(offset);
  return {};
}

Status GoldenStick::TakeStatic(LogicalLayer& layer) const {
  SLIM_ASSIGN(const TensorEntry* scale, Need(layer.name, "input_scale"));
  SLIM_ASSIGN(const TensorEntry* offset, Need(layer.name, "input_offset"));
  SLIM_ASSIGN(const TensorEntry* deq, Need(layer.name, "deq_scale"));
  SLIM_ASSIGN(const TensorEntry* quant_bias, Need(layer.name, "quant_bias"));
  SLIM_TRY(RequireDType(*scale, kFloats));
  SLIM_TRY(RequireShape(*scale, {layer.k()}));
  SLIM_TRY(RequireDType(*offset, {DType::kI8}));
  SLIM_TRY(RequireShape(*offset, {layer.k()}));
  SLIM_TRY(RequireDType(*deq, {DType::kF32}));
  SLIM_TRY(RequireShape(*deq, {layer.n()}));
  SLIM_TRY(RequireDType(*quant_bias, {DType::kI32}));
  SLIM_TRY(RequireShape(*quant_bias, {layer.n()}));
  SLIM_ASSIGN(const Tensor scales, source_.Read(*scale));
  SLIM_ASSIGN(const Tensor offsets, source_.Read(*offset));
  const uint64_t inputs = IsRepeated(scales) && IsRepeated(offsets) ? 1 : layer.k();
  layer.part(Role::kInputScale) = PartSpec{DType::kF32, {inputs}};
  layer.part(Role::kInputOffset) = PartSpec{DType::kF32, {inputs}};
  layer.part(Role::kDeqScale) = PartSpec{DType::kF32, {layer.n()}};
  layer.part(Role::kQuantBias) = PartSpec{DType::kI32, {layer.n()}};
  layer.quant_bias_is_rounded = true;
  layer.sources.insert(layer.sources.end(), {scale, offset, deq, quant_bias});
  return {};
}

Result<Tensor> GoldenStick::ReadRole(const LogicalLayer& layer, Role role) const {
  const TensorEntry& entry = *Part(layer.name, RoleSuffix(role));
  const PartSpec& wanted = *layer.part(role);
  SLIM_ASSIGN(Tensor part, source_.Read(entry));
  if (role == Role::kInputScale || role == Role::kInputOffset)
    return LeadingFloats(part, wanted.shape[0]);
  const bool int4 = layer.scheme == Scheme::kW4A16;
  if (role == Role::kWeight)
    return int4 ? UnpackTransposedInt4(part.as<uint8_t>(), layer.n(), layer.k()) : std::move(part);
  const bool per_group = role == Role::kWeightScale || role == Role::kWeightOffset;
  if (int4 && per_group) part = Transposed(part);
  if (role == Role::kWeightOffset) return Expanded(part, wanted);
  part.shape = wanted.shape;
  return part;
}

// MindSpore's own name of an embedding's weight remains where the model class is not mapped.
Status GoldenStick::AddRest(const TensorEntry& entry) {
  LogicalLayer layer = PlainLayer(entry);
  const auto [module, suffix] = SplitTensorName(entry.name);
  if (suffix == "embedding_table") layer.name = fmt::format("{}.weight", module);
  layers_.push_back(std::move(layer));
  return {};
}

constexpr Role kRoleOrder[] = {Role::kWeight,   Role::kWeightScale, Role::kWeightOffset,
                               Role::kBias,     Role::kInputScale,  Role::kInputOffset,
                               Role::kDeqScale, Role::kQuantBias};

}  // namespace

bool IsRepeated(const Tensor& tensor) {
  for (uint64_t i = 1; i < tensor.elements(); ++i) {
    if (ElementAsDouble(tensor.view(), i) != ElementAsDouble(tensor.view(), 0)) return false;
  }
  return true;
}

Tensor LeadingFloats(const Tensor& tensor, uint64_t count) {
  std::vector<float> values;
  for (uint64_t i = 0; i < count; ++i)
    values.push_back(static_cast<float>(ElementAsDouble(tensor.view(), i)));
  return Tensor::FromFloats({count}, values);
}

const DialectTraits kGoldenStickTraits = {
    .dialect = Dialect::kGoldenStick,
    .name = "golden-stick",
    .summary = "MindSpore golden-stick in its Hugging Face layout",
    .has_description = true,
    .description_indent = 4,
    .globals_first = true,
    .always_sharded = true,
    .layers_first = false,
    .quantize_in_config = false,
    .packs_int4 = false,
    .cache_first = false,
    .role_order = kRoleOrder,
    .description_name = [](std::string_view) { return std::string(kGoldenStickDescription); },
    .weight_stem = [](std::string_view) { return std::string("quant-model"); },
    .write_globals =
        [](const DescriptionGlobals&) { return std::vector<std::pair<std::string, Json>>(); },
    .index_stem = "model",
    .is_foreign = true,
};

Result<std::unique_ptr<LayerReader>> OpenGoldenStick(const Checkpoint& source,
                                                     std::vector<Error>* problems) {
  if (HasRanks(source)) return OpenGoldenStickRanks(source, problems);
  auto reader = std::make_unique<GoldenStick>(source);
  if (source.description() != nullptr && problems != nullptr) {
    SLIM_TRY(reader->Open(problems));
  } else {
    SLIM_TRY(ModuleLayers::Collect(reader->CheckDescription(), problems));
    if (problems == nullptr) SLIM_TRY(reader->Open(nullptr));
  }
  return std::unique_ptr<LayerReader>(std::move(reader));
}

}  // namespace slim
