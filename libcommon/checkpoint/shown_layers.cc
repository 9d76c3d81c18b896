#include "checkpoint/shown_layers.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "checkpoint/layer_rows.h"
#include "kernels/convert.h"
#include "linear/w8a8.h"

namespace slim {
namespace {

Tensor DequantizedWeight(const LogicalLayer& layer, const LinearRecord& record, DType dtype) {
  const uint64_t k = layer.k();
  const uint64_t row_bytes = k * DTypeBits(dtype) / 8;
  Tensor out(dtype, layer.shape());
  std::vector<float> row(k);
  for (uint64_t i = 0; i < layer.n(); ++i) {
    DequantizeLayerRow(layer, record, i, row);
    FromFloat(dtype, row.data(), out.data.data() + i * row_bytes, k);
  }
  return out;
}

// The tensor behind a plain layer where its bytes are those that are shown.
const TensorEntry* StoredAs(const LogicalLayer& layer) {
  if (layer.is_linear || layer.sources.size() != 1 || !layer.note.empty()) return nullptr;
  return layer.sources.front();
}

}  // namespace

ShownLayers::ShownLayers(std::vector<std::unique_ptr<const Checkpoint>> sources,
                         std::unique_ptr<const LayerReader> reader, DType model_dtype)
    : sources_(std::move(sources)), reader_(std::move(reader)), model_dtype_(model_dtype) {
  for (const LogicalLayer& layer : reader_->layers()) {
    if (layer.is_linear) linears_.emplace(layer.name, &layer);
  }
}

Result<std::shared_ptr<const ShownLayers>> ShownLayers::Of(Checkpoint source) {
  std::vector<std::unique_ptr<const Checkpoint>> sources;
  sources.push_back(std::make_unique<const Checkpoint>(std::move(source)));
  const Checkpoint& only = *sources.front();
  SLIM_ASSIGN(std::unique_ptr<LayerReader> reader, OpenLayers(only));
  const DType dtype = only.ModelDType().value_or(DType::kBF16);
  return std::shared_ptr<const ShownLayers>(
      std::make_shared<ShownLayers>(std::move(sources), std::move(reader), dtype));
}

std::vector<TensorEntry> ShownLayers::Entries() const {
  std::vector<TensorEntry> entries;
  const auto add = [&](std::string name, DType dtype, const Shape& shape, size_t position) {
    const auto size = ByteSize(dtype, shape);  // a few times that of a stored tensor
    TensorEntry entry{std::move(name), dtype, shape, 0, 0, size.ok() ? *size : 0, 0, {}, 0};
    entry.shown = static_cast<uint32_t>(position + 1);
    entries.push_back(std::move(entry));
  };
  const std::vector<LogicalLayer>& layers = reader_->layers();
  for (size_t i = 0; i < layers.size(); ++i) {
    const LogicalLayer& layer = layers[i];
    for (size_t r = 0; r < kRoleCount; ++r) {
      if (!layer.parts[r]) continue;
      const auto role = static_cast<Role>(r);
      const bool bias = role == Role::kBias;
      if (layer.is_linear && BecomesFloat(layer) && role != Role::kWeight && !bias) continue;
      const bool floats = layer.is_linear && BecomesFloat(layer) && !bias;
      const DType dtype = floats ? FloatDType(layer) : layer.parts[r]->dtype;
      std::string name =
          layer.is_linear ? fmt::format("{}.{}", layer.name, RoleSuffix(role)) : layer.name;
      add(std::move(name), dtype, layer.parts[r]->shape, i);
    }
  }
  return entries;
}

const LogicalLayer* ShownLayers::FindLinear(std::string_view module) const {
  const auto found = linears_.find(module);
  return found == linears_.end() ? nullptr : found->second;
}

Scheme ShownLayers::SchemeOf(std::string_view module) const {
  const LogicalLayer* layer = FindLinear(module);
  return layer == nullptr || BecomesFloat(*layer) ? Scheme::kFloat : layer->scheme;
}

Result<LinearRecord> ShownLayers::ReadLinear(const LogicalLayer& layer) const {
  SLIM_ASSIGN(LinearRecord record, reader_->Read(layer, LayerReader::Parts::kAll));
  if (BecomesFloat(layer)) {
    record[Role::kWeight] = DequantizedWeight(layer, record, FloatDType(layer));
    record.scheme = Scheme::kFloat;
    for (size_t r = 0; r < kRoleCount; ++r) {
      const auto role = static_cast<Role>(r);
      if (role != Role::kWeight && role != Role::kBias) record[role] = Tensor();
    }
  } else if (layer.quant_bias_is_rounded) {
    RecomputeQuantBias(record);
  } else if (record.scheme == Scheme::kW8A8) {
    CompleteStatic(record, model_dtype_);
  }
  if (auto status = CheckRecord(record); !status.ok())
    return std::move(status).error().WithPath(reader_->source().path());
  return record;
}

Result<Tensor> ShownLayers::ReadShown(const TensorEntry& entry, const LogicalLayer& layer) const {
  if (!layer.is_linear) {
    SLIM_ASSIGN(LinearRecord record, reader_->Read(layer, LayerReader::Parts::kAll));
    return std::move(record[Role::kWeight]);
  }
  const auto role = ParseRole(SplitTensorName(entry.name).suffix);
  if (!role) return InternalError("a shown tensor has no role");
  SLIM_ASSIGN(LinearRecord record, ReadLinear(layer));
  return std::move(record[*role]);
}

Status ShownLayers::ReadPart(const TensorEntry& entry, std::span<std::byte> to,
                             uint64_t offset) const {
  const LogicalLayer& layer = reader_->layers()[entry.shown - 1];
  // A caller may ask for a slice as an entry of its own, whose offset is its place in the tensor.
  offset += entry.offset;
  if (const TensorEntry* stored = StoredAs(layer)) {
    return reader_->source().ReadPart(*stored, to, offset);
  }
  SLIM_ASSIGN(const Tensor tensor, ReadShown(entry, layer));
  if (offset > tensor.data.size() || to.size() > tensor.data.size() - offset)
    return InternalError(fmt::format("a part beyond the end of {}", entry.name));
  std::memcpy(to.data(), tensor.data.data() + offset, to.size());
  return {};
}

Status ShownLayers::CheckUnchanged() const {
  for (const auto& source : sources_) SLIM_TRY(source->CheckUnchanged());
  return {};
}

std::string ShownLayers::FilesIdentity() const {
  std::string identity;
  for (const auto& source : sources_) identity += source->FilesIdentity();
  return identity;
}

}  // namespace slim
