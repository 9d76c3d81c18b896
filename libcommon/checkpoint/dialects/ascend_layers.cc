#include "checkpoint/dialects/ascend_layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/text.h"
#include "linear/int4.h"

namespace slim {
namespace {

// Tensors that change what a layer computes and have no place in a LinearRecord (formats.md 4.2).
constexpr std::array<std::string_view, 9> kTransforms = {
    "mul_scale",  "svd_lowrank_l1",       "svd_lowrank_l2",       "left_trans",    "right_trans",
    "clip_ratio", "kronecker_rotation_m", "kronecker_rotation_n", "heads_rotation"};
// Tensors of the attention's caches.
constexpr std::array<std::string_view, 2> kNoWeights = {"kv_cache_scale", "kv_cache_offset"};

class AscendLayers : public LayerReader {
 public:
  explicit AscendLayers(const Checkpoint& source) : LayerReader(source) {}

  Status Open();
  Result<LinearRecord> Read(const LogicalLayer& layer, Parts parts) const override;

 private:
  Status AddTensor(const TensorEntry& entry);
  Status AddLinear(const TensorEntry& weight, std::string_view module);
  void UnpackShape(LogicalLayer& layer) const;
  std::string LabelOf(std::string_view tensor) const;
  Error Refusal(const TensorEntry& entry, std::string message) const;
};

std::string AscendLayers::LabelOf(std::string_view tensor) const {
  if (source_.description() == nullptr) return "FLOAT";
  const std::string* label = source_.description()->Label(tensor);
  return label == nullptr ? "" : *label;
}

Error AscendLayers::Refusal(const TensorEntry& entry, std::string message) const {
  return InputError("CV-scheme", std::move(message))
      .WithTensor(entry.name)
      .WithPath(source_.path());
}

Status AscendLayers::Open() {
  for (const TensorEntry& entry : source_.tensors()) SLIM_TRY(AddTensor(entry));
  return {};
}

Status AscendLayers::AddTensor(const TensorEntry& entry) {
  const auto [module, suffix] = SplitTensorName(entry.name);
  const std::string label = LabelOf(entry.name);
  const std::string weight_name = fmt::format("{}.weight", module);
  const TensorEntry* weight = source_.Find(weight_name);
  const std::string weight_label = weight == nullptr ? "" : LabelOf(weight_name);
  const auto role = ParseRole(suffix);
  // The two-dimensional weight makes a layer a linear one: norms have labels of their own where a
  // traditional writer marked the copies that MindIE reads.
  const bool linear = weight != nullptr && weight->shape.size() == 2 && weight_label != "FLOAT";
  if (linear && !weight_label.empty()) {
    if (role == Role::kWeight) return AddLinear(entry, module);
    if (role) return {};  // taken by its weight
  }
  if (std::find(kNoWeights.begin(), kNoWeights.end(), suffix) != kNoWeights.end() ||
      label == "FAQuant" || label == "FAKQuant" || label == "C8") {
    dropped_.push_back({&entry, "belongs to the kernels of the quantized model, no weight has it"});
    return {};
  }
  if (std::find(kTransforms.begin(), kTransforms.end(), suffix) != kTransforms.end())
    return Refusal(entry,
                   "transforms the layer's input, which a plain linear layer cannot express");
  if (label.empty()) {
    return InputError("CK-missing-label", "has no entry in the description",
                      "add its entry (FLOAT for a float tensor)")
        .WithTensor(entry.name)
        .WithPath(source_.path());
  }
  LogicalLayer layer = PlainLayer(entry);
  if (label != "FLOAT" && !module.ends_with(".module"))
    return Refusal(entry, fmt::format("has label {} and belongs to no linear layer", Quote(label)));
  layers_.push_back(std::move(layer));
  return {};
}

Status AscendLayers::AddLinear(const TensorEntry& weight, std::string_view module) {
  LogicalLayer layer;
  layer.name = module;
  layer.is_linear = true;
  SLIM_ASSIGN(layer.scheme, source_.SchemeOf(module));
  for (size_t i = 0; i < kRoleCount; ++i) {
    const TensorEntry* entry =
        source_.Find(fmt::format("{}.{}", module, RoleSuffix(static_cast<Role>(i))));
    if (entry == nullptr) continue;
    if (ElementCount(entry->shape) == 0) {
      return InputError("LIN-shape",
                        fmt::format("has shape {}: no elements", ShapeText(entry->shape)))
          .WithTensor(entry->name)
          .WithPath(source_.path());
    }
    layer.parts[i] = PartSpec{entry->dtype, entry->shape};
    layer.sources.push_back(entry);
  }
  if (!CanDequantize(layer.scheme)) {
    return Refusal(weight, fmt::format("has label {}, whose weights this version cannot read",
                                       SchemeLabel(layer.scheme)));
  }
  auto& scale = layer.part(Role::kWeightScale);
  if (scale && scale->shape.size() == 1) scale->shape.push_back(1);
  if (scale && scale->shape.size() != 2) {
    return InputError("LIN-shape", fmt::format("its weight_scale has shape {}, wanted [n, groups]",
                                               ShapeText(scale->shape)))
        .WithTensor(weight.name)
        .WithPath(source_.path());
  }
  UnpackShape(layer);
  layers_.push_back(std::move(layer));
  return {};
}

// The logical shape and dtype of a weight that is stored packed.
void AscendLayers::UnpackShape(LogicalLayer& layer) const {
  Shape& shape = layer.part(Role::kWeight)->shape;
  switch (layer.scheme) {
    case Scheme::kW4A8MXFP:
    case Scheme::kW4A4MXFP4:
    case Scheme::kW4A4MXFP4DualScale:
      shape[1] *= 2;
      layer.note = SchemeLabel(layer.scheme);
      return;
    default:
      break;
  }
  const Int4Packing packing = Int4PackingOf(layer.scheme, std::max<uint64_t>(layer.groups(), 1),
                                            source_.traits().packs_int4);
  if (packing == Int4Packing::kNone) return;
  shape[packing == Int4Packing::kAlongN ? 0 : 1] *= 2;
  layer.note = SchemeLabel(layer.scheme);
}

Result<LinearRecord> AscendLayers::Read(const LogicalLayer& layer, Parts parts) const {
  if (parts == Parts::kAll && layer.is_linear) return source_.ReadLinear(layer.name);
  LinearRecord record;
  record.name = layer.name;
  record.scheme = layer.scheme;
  for (const TensorEntry* entry : layer.sources) {
    const Role role =
        layer.is_linear ? *ParseRole(SplitTensorName(entry->name).suffix) : Role::kWeight;
    if (role == Role::kWeight && parts == Parts::kAllButWeight) continue;
    SLIM_ASSIGN(record[role], ReadPartAs(source_, *entry, layer.part(role)->shape));
    const bool added = layer.scheme == Scheme::kW8A16 && source_.AddsWeightOffset();
    if (role == Role::kWeightOffset && added) SLIM_TRY(NegateFloats(record[role]));
  }
  return record;
}

}  // namespace

Result<std::unique_ptr<LayerReader>> OpenAscendLayers(const Checkpoint& source) {
  auto reader = std::make_unique<AscendLayers>(source);
  SLIM_TRY(reader->Open());
  return std::unique_ptr<LayerReader>(std::move(reader));
}

}  // namespace slim
