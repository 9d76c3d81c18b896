#include "checkpoint/dialects/module_layers.h"

#include <fmt/format.h>

#include "base/text.h"

namespace slim {

const Json* QuantizationConfig(const Checkpoint& source) {
  if (source.config() == nullptr) return nullptr;
  for (const std::string_view key : {"quantization_config", "compression_config"}) {
    const Json* block = source.config()->Find(key);
    if (block != nullptr && block->is_object()) return block;
  }
  const Json* text = source.config()->Find("text_config");
  const Json* block =
      text != nullptr && text->is_object() ? text->Find("quantization_config") : nullptr;
  return block != nullptr && block->is_object() ? block : nullptr;
}

Status ModuleLayers::Collect(Status status, std::vector<Error>* problems) {
  if (status.ok() || problems == nullptr || status.error().code != ErrorCode::kInput) return status;
  problems->push_back(std::move(status).error());
  return {};
}

Status ModuleLayers::Open(std::vector<Error>* problems) {
  if (Status config = ReadConfig(); !config.ok()) return Collect(std::move(config), problems);
  std::set<const TensorEntry*> taken;
  for (const TensorEntry& entry : source_.tensors()) {
    auto layer = LinearAt(entry);
    if (!layer.ok()) {
      SLIM_TRY(Collect(std::move(layer).error(), problems));
      taken.insert(&entry);
      continue;
    }
    if (!*layer) continue;
    taken.insert((*layer)->sources.begin(), (*layer)->sources.end());
    layers_.push_back(std::move(**layer));
  }
  for (const TensorEntry& entry : source_.tensors()) {
    if (!taken.contains(&entry)) SLIM_TRY(AddRest(entry));
  }
  return {};
}

Status ModuleLayers::AddRest(const TensorEntry& entry) {
  layers_.push_back(PlainLayer(entry));
  return {};
}

Result<LinearRecord> ModuleLayers::Read(const LogicalLayer& layer, Parts parts) const {
  LinearRecord record;
  record.name = layer.name;
  record.scheme = layer.scheme;
  for (size_t i = 0; i < kRoleCount; ++i) {
    const Role role = static_cast<Role>(i);
    if (!layer.Has(role) || (role == Role::kWeight && parts == Parts::kAllButWeight)) continue;
    auto part = layer.is_linear ? ReadRole(layer, role) : source_.Read(*layer.sources.front());
    if (!part.ok()) return std::move(part).error();
    record[role] = std::move(*part);
  }
  return record;
}

const TensorEntry* ModuleLayers::Part(std::string_view module, std::string_view suffix) const {
  return source_.Find(fmt::format("{}.{}", module, suffix));
}

Result<const TensorEntry*> ModuleLayers::Need(std::string_view module,
                                              std::string_view suffix) const {
  const TensorEntry* entry = Part(module, suffix);
  if (entry != nullptr) return entry;
  return InputError("CK-missing-tensor", "is missing beside its weight",
                    "fetch the missing file, or the whole checkpoint, again")
      .WithTensor(fmt::format("{}.{}", module, suffix))
      .WithPath(source_.path());
}

Status ModuleLayers::RequireShape(const TensorEntry& entry, const Shape& wanted) const {
  if (entry.shape == wanted) return {};
  return Refuse(entry, "LIN-shape",
                fmt::format("has shape {}, wanted {}", ShapeText(entry.shape), ShapeText(wanted)));
}

Status ModuleLayers::RequireDType(const TensorEntry& entry,
                                  std::initializer_list<DType> wanted) const {
  std::vector<std::string> names;
  for (const DType dtype : wanted) {
    if (entry.dtype == dtype) return {};
    names.emplace_back(DTypeName(dtype));
  }
  return Refuse(
      entry, "LIN-dtype",
      fmt::format("has dtype {}, wanted {}", DTypeName(entry.dtype), Join(names, " or ")));
}

Error ModuleLayers::Refuse(const TensorEntry& entry, std::string rule, std::string message,
                           std::string hint) const {
  return InputError(std::move(rule), std::move(message), std::move(hint))
      .WithTensor(entry.name)
      .WithPath(source_.path());
}

Status ModuleLayers::TakeBias(LogicalLayer& layer) const {
  const TensorEntry* bias = Part(layer.name, "bias");
  if (bias == nullptr) return {};
  SLIM_TRY(RequireShape(*bias, {layer.n()}));
  SLIM_TRY(RequireDType(*bias, {DType::kF32, DType::kF16, DType::kBF16}));
  layer.part(Role::kBias) = PartSpec{bias->dtype, bias->shape};
  layer.sources.push_back(bias);
  return {};
}

Result<std::vector<int32_t>> ModuleLayers::ReadColumnGroups(const TensorEntry& entry, uint64_t k,
                                                            uint64_t groups) const {
  SLIM_TRY(RequireShape(entry, {k}));
  SLIM_TRY(RequireDType(entry, {DType::kI32}));
  SLIM_ASSIGN(const Tensor tensor, source_.Read(entry));
  const auto values = tensor.as<int32_t>();
  const uint64_t width = k / groups;
  bool plain = true;
  for (uint64_t j = 0; j < k; ++j) {
    if (values[j] < 0 || static_cast<uint64_t>(values[j]) >= groups) {
      return Refuse(
          entry, "LIN-group-index",
          fmt::format("puts column {} into group {}, there are {}", j, values[j], groups));
    }
    plain = plain && static_cast<uint64_t>(values[j]) == j / width;
  }
  if (plain) return std::vector<int32_t>();
  return std::vector<int32_t>(values.begin(), values.end());
}

}  // namespace slim
