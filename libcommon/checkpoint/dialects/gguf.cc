#include "checkpoint/dialects/gguf.h"

#include <fmt/format.h>

#include <cstring>

#include "base/text.h"
#include "checkpoint/dialects/gguf_names.h"
#include "checkpoint/dialects/rotary_factors.h"
#include "checkpoint/gguf_header.h"
#include "kernels/convert.h"

namespace slim {
namespace {

constexpr std::string_view kEmbedding = "model.embed_tokens";
constexpr uint64_t kChunk = 4ULL << 20;

class GgufLayers : public LayerReader {
 public:
  explicit GgufLayers(const Checkpoint& source) : LayerReader(source) {}

  Status Open();
  Result<LinearRecord> Read(const LogicalLayer& layer, Parts parts) const override;

 private:
  Status ReadConfig();
  Status AddTensor(const TensorEntry& entry);
  Status AddQuantized(const TensorEntry& entry, const Shape& shape, std::string_view module);
  Result<bool> OneScaleARow(const TensorEntry& entry, const Shape& shape) const;
  Result<bool> FitsModelDType(const TensorEntry& entry) const;
  bool IsQuantizedBias(const TensorEntry& entry) const;
  uint64_t RotaryHeads(const TensorEntry& entry) const;
  Status CheckRotary(const TensorEntry& entry, uint64_t rows) const;
  Error Refuse(const TensorEntry& entry, std::string rule, std::string message) const;
  Result<Tensor> ReadPlain(const TensorEntry& entry, DType dtype) const;
  Status SplitBlocks(const LogicalLayer& layer, Parts parts, LinearRecord& record) const;

  bool interleaves_ = false;
  uint64_t heads_ = 0;
  uint64_t kv_heads_ = 0;
  DType model_dtype_ = DType::kF32;
};

Error GgufLayers::Refuse(const TensorEntry& entry, std::string rule, std::string message) const {
  return InputError(std::move(rule), std::move(message))
      .WithTensor(entry.name)
      .WithPath(source_.path());
}

Status GgufLayers::ReadConfig() {
  const Json& config = *source_.config();
  const auto size_of = [&](std::string_view key, int64_t fallback) {
    const Json* value = config.Find(key);
    const int64_t size = value == nullptr ? fallback : value->AsInteger().value_or(fallback);
    return size > 0 ? static_cast<uint64_t>(size) : 0;
  };
  const GgufValue* name = source_.shards().front().gguf->Find("general.architecture");
  const GgufArchitecture* known = name == nullptr || name->AsText() == nullptr
                                      ? nullptr
                                      : GgufArchitectureByName(*name->AsText());
  if (known == nullptr) {
    return InputError("GG-metadata", "its general.architecture is none that slim knows",
                      "known: " + GgufArchitectureNames())
        .WithPath(source_.path());
  }
  interleaves_ = known->interleaves_rotary;
  heads_ = size_of("num_attention_heads", 0);
  kv_heads_ = size_of("num_key_value_heads", static_cast<int64_t>(heads_));
  model_dtype_ = source_.ModelDType().value_or(DType::kF32);
  return {};
}

uint64_t GgufLayers::RotaryHeads(const TensorEntry& entry) const {
  if (!interleaves_) return 0;
  switch (RotaryRowsOf(entry.name)) {
    case RotaryRows::kOfQueries:
      return heads_;
    case RotaryRows::kOfKeys:
      return kv_heads_;
    case RotaryRows::kAsTheyAre:
      break;
  }
  return 0;
}

Status GgufLayers::CheckRotary(const TensorEntry& entry, uint64_t rows) const {
  if (!interleaves_ || RotaryRowsOf(entry.name) == RotaryRows::kAsTheyAre) return {};
  const uint64_t heads = RotaryHeads(entry);
  if (heads > 0 && heads <= rows && rows % (2 * heads) == 0) return {};
  return Refuse(entry, "GG-shape",
                fmt::format("{} rows are no {} heads of an even size", rows, heads));
}

// Compares the scales of each row's blocks and stops at the first that differs: of a file that was
// quantized by blocks, in the first row.
Result<bool> GgufLayers::OneScaleARow(const TensorEntry& entry, const Shape& shape) const {
  const uint64_t row_bytes = shape[1] / kQ8_0Elements * kQ8_0Bytes;
  const uint64_t rows_a_chunk = std::max<uint64_t>(kChunk / row_bytes, 1);
  std::vector<std::byte> chunk(rows_a_chunk * row_bytes);
  for (uint64_t row = 0; row < shape[0]; row += rows_a_chunk) {
    const uint64_t bytes = std::min(rows_a_chunk, shape[0] - row) * row_bytes;
    const std::span<std::byte> part(chunk.data(), bytes);
    SLIM_TRY(source_.ReadPart(entry, part, row * row_bytes));
    for (uint64_t at = 0; at < bytes; at += kQ8_0Bytes) {
      const std::byte* first = part.data() + at / row_bytes * row_bytes;
      if (std::memcmp(first, part.data() + at, 2) != 0) return false;
    }
  }
  return true;
}

Result<bool> GgufLayers::FitsModelDType(const TensorEntry& entry) const {
  SLIM_ASSIGN(const Tensor tensor, source_.Read(entry));
  Tensor narrow(model_dtype_, entry.shape);
  std::vector<float> back(tensor.elements());
  FromFloat(model_dtype_, tensor.as<float>().data(), narrow.data.data(), back.size());
  ToFloat(model_dtype_, narrow.data.data(), back.data(), back.size());
  return std::memcmp(back.data(), tensor.data.data(), tensor.data.size()) == 0;
}

bool GgufLayers::IsQuantizedBias(const TensorEntry& entry) const {
  const auto [module, suffix] = SplitTensorName(entry.name);
  if (suffix != "bias") return false;
  const TensorEntry* weight = source_.Find(fmt::format("{}.weight", module));
  return weight != nullptr && weight->shape.size() == 3 &&
         Q8_0Shape(weight->dtype, weight->shape).has_value();
}

Status GgufLayers::AddQuantized(const TensorEntry& entry, const Shape& shape,
                                std::string_view module) {
  LogicalLayer layer;
  layer.name = module;
  layer.is_linear = true;
  layer.is_lookup = module == kEmbedding;
  layer.scheme = Scheme::kW8A16;
  layer.sources = {&entry};
  layer.note = "unpacked from Q8_0 blocks";
  layer.part(Role::kWeight) = PartSpec{DType::kI8, shape};
  SLIM_ASSIGN(const bool one, OneScaleARow(entry, shape));
  const uint64_t groups = one ? 1 : shape[1] / kQ8_0Elements;
  layer.part(Role::kWeightScale) = PartSpec{DType::kF16, {shape[0], groups}};
  const TensorEntry* bias =
      source_.Find(fmt::format("{}.bias", SplitTensorName(entry.name).module));
  if (bias != nullptr) {
    if (bias->shape != Shape{shape[0]} || !CanConvertFromFloat(bias->dtype)) {
      return Refuse(*bias, "LIN-shape",
                    fmt::format("is {} {}, wanted floats {}", DTypeName(bias->dtype),
                                ShapeText(bias->shape), ShapeText({shape[0]})));
    }
    SLIM_TRY(CheckRotary(*bias, shape[0]));
    layer.part(Role::kBias) = PartSpec{bias->dtype, bias->shape};
    layer.sources.push_back(bias);
  }
  layers_.push_back(std::move(layer));
  return {};
}

Status GgufLayers::AddTensor(const TensorEntry& entry) {
  if (entry.name == kRotaryFactors) {
    dropped_.push_back({&entry, "computed from rope_scaling of config.json by who needs it"});
    return {};
  }
  if (IsQuantizedBias(entry)) return {};  // taken by its weight
  const std::string name = HfNameOfGguf(entry.name);
  if (name.empty()) return Refuse(entry, "GG-name", "is no tensor of a model that slim knows");
  if (const auto shape = Q8_0Shape(entry.dtype, entry.shape)) {
    const auto [module, suffix] = SplitTensorName(name);
    if (shape->size() != 2 || suffix != "weight") {
      return Refuse(entry, "LIN-shape",
                    fmt::format("is Q8_0 {}, a matrix is read", ShapeText(*shape)));
    }
    SLIM_TRY(CheckRotary(entry, shape->front()));
    return AddQuantized(entry, *shape, module);
  }
  SLIM_TRY(CheckRotary(entry, entry.shape.front()));
  LogicalLayer layer = PlainLayer(entry);
  layer.name = name;
  if (RotaryHeads(entry) > 0) layer.note = "rows put back from llama.cpp's rotary order";
  if (entry.dtype == DType::kF32 && entry.shape.size() == 1 && model_dtype_ != DType::kF32) {
    SLIM_ASSIGN(const bool fits, FitsModelDType(entry));
    if (fits) {
      layer.part(Role::kWeight)->dtype = model_dtype_;
      layer.note = fmt::format("{} as in the model", DTypeName(model_dtype_));
    }
  }
  layers_.push_back(std::move(layer));
  return {};
}

Status GgufLayers::Open() {
  SLIM_TRY(ReadConfig());
  for (const TensorEntry& entry : source_.tensors()) SLIM_TRY(AddTensor(entry));
  return {};
}

Result<Tensor> GgufLayers::ReadPlain(const TensorEntry& entry, DType dtype) const {
  SLIM_ASSIGN(Tensor tensor, source_.Read(entry));
  if (const uint64_t heads = RotaryHeads(entry); heads > 0)
    tensor = ReorderRotaryRows(tensor, heads, RotaryOrder::kHalves);
  if (tensor.dtype == dtype) return tensor;
  Tensor narrow(dtype, tensor.shape);
  FromFloat(dtype, tensor.as<float>().data(), narrow.data.data(), tensor.elements());
  return narrow;
}

Status GgufLayers::SplitBlocks(const LogicalLayer& layer, Parts parts, LinearRecord& record) const {
  const TensorEntry& entry = *layer.sources.front();
  SLIM_ASSIGN(const Tensor blocks, source_.Read(entry));
  const uint64_t row_blocks = layer.k() / kQ8_0Elements;
  const uint64_t groups = layer.groups();
  Tensor codes(DType::kI8, layer.shape());
  Tensor scales(DType::kF16, {layer.n(), groups});
  const std::byte* from = blocks.data.data();
  for (uint64_t block = 0; block < layer.n() * row_blocks; ++block, from += kQ8_0Bytes) {
    const uint64_t row = block / row_blocks;
    const uint64_t column = block % row_blocks;
    if (column < groups) std::memcpy(scales.data.data() + (row * groups + column) * 2, from, 2);
    std::memcpy(codes.data.data() + block * kQ8_0Elements, from + 2, kQ8_0Elements);
  }
  if (const uint64_t heads = RotaryHeads(entry); heads > 0) {
    codes = ReorderRotaryRows(codes, heads, RotaryOrder::kHalves);
    scales = ReorderRotaryRows(scales, heads, RotaryOrder::kHalves);
  }
  if (parts == Parts::kAll) record[Role::kWeight] = std::move(codes);
  record[Role::kWeightScale] = std::move(scales);
  return {};
}

Result<LinearRecord> GgufLayers::Read(const LogicalLayer& layer, Parts parts) const {
  LinearRecord record;
  record.name = layer.name;
  record.scheme = layer.scheme;
  if (!layer.is_linear) {
    SLIM_ASSIGN(record[Role::kWeight],
                ReadPlain(*layer.sources.front(), layer.part(Role::kWeight)->dtype));
    return record;
  }
  SLIM_TRY(SplitBlocks(layer, parts, record));
  if (layer.Has(Role::kBias)) {
    SLIM_ASSIGN(record[Role::kBias], ReadPlain(*layer.sources[1], layer.part(Role::kBias)->dtype));
  }
  return record;
}

}  // namespace

Result<std::unique_ptr<LayerReader>> OpenGguf(const Checkpoint& source) {
  auto reader = std::make_unique<GgufLayers>(source);
  SLIM_TRY(reader->Open());
  return std::unique_ptr<LayerReader>(std::move(reader));
}

}  // namespace slim
