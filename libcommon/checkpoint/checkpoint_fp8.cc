// Checkpoint::OpenFloat: FP8 weights shown and read as float ones.
#include <fmt/format.h>

#include <unordered_map>

#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/fp8_block.h"
#include "json/edit.h"
#include "kernels/convert.h"

namespace slim {
namespace {

Error ScaleError(const TensorEntry& weight, std::string message) {
  return InputError("FP8-scale", std::move(message)).WithTensor(weight.name);
}

}  // namespace

Status Checkpoint::ShowFp8AsFloat() {
  SLIM_ASSIGN(const auto block, ReadFp8BlockSize(*config_));
  const DType dtype = ModelDType().value_or(DType::kBF16);
  std::unordered_map<std::string_view, const TensorEntry*> scales;
  for (const TensorEntry& entry : tensors_) {
    const auto [module, suffix] = SplitTensorName(entry.name);
    if (suffix == kFp8ScaleSuffix) scales.emplace(module, &entry);
  }
  std::vector<TensorEntry> shown;
  for (const TensorEntry& entry : tensors_) {
    const auto [module, suffix] = SplitTensorName(entry.name);
    if (suffix == kFp8ScaleSuffix) continue;
    shown.push_back(entry);
    if (entry.dtype != DType::kF8E4M3) continue;
    const auto scale = scales.find(module);
    if (suffix != "weight" || entry.shape.size() != 2 || scale == scales.end())
      return ScaleError(entry, fmt::format("is F8_E4M3 without a {}", kFp8ScaleSuffix));
    const Shape wanted = Fp8ScaleShape(entry.shape, block);
    if (scale->second->dtype != DType::kF32 || scale->second->shape != wanted) {
      return ScaleError(
          *scale->second,
          fmt::format("is {} {}, blocks of {}x{} want F32 {}", DTypeName(scale->second->dtype),
                      ShapeText(scale->second->shape), block[0], block[1], ShapeText(wanted)));
    }
    fp8_.push_back({block, *scale->second});
    scales.erase(scale);
    TensorEntry& weight = shown.back();
    weight.fp8 = static_cast<uint32_t>(fp8_.size());
    weight.dtype = dtype;
    weight.size = entry.size * (DTypeBits(dtype) / 8);
  }
  if (!scales.empty())
    return ScaleError(*scales.begin()->second, "scales no F8_E4M3 weight of its module");
  // What is left is a float checkpoint, and its config says so.
  SLIM_ASSIGN(config_text_, RemoveMember(config_text_, "quantization_config"));
  config_->Remove("quantization_config");
  tensors_ = std::move(shown);
  IndexNames();
  return {};
}

Status Checkpoint::ReadFp8Part(const TensorEntry& entry, std::span<std::byte> to,
                               uint64_t offset) const {
  const Fp8Weight& weight = fp8_[entry.fp8 - 1];
  const uint64_t width = DTypeBits(entry.dtype) / 8;
  if (offset % width != 0 || to.size() % width != 0)
    return InternalError("part of a value of an FP8 weight");
  const uint64_t first = offset / width;
  const uint64_t count = to.size() / width;
  if (count == 0) return {};
  const uint64_t k = entry.shape[1];
  const uint64_t first_row = first / k / weight.block[0];
  const uint64_t last_row = (first + count - 1) / k / weight.block[0];
  const uint64_t columns = weight.scale.shape[1];
  std::vector<float> scales((last_row - first_row + 1) * columns);
  SLIM_TRY(ReadPart(weight.scale, std::as_writable_bytes(std::span(scales)),
                    first_row * columns * sizeof(float)));
  std::vector<std::byte> codes(count);
  auto status = shards_[entry.shard].file.ReadExactAt(codes, entry.offset + first);
  if (!status.ok()) return std::move(status).error().WithTensor(entry.name);
  std::vector<float> values(count);
  DequantizeFp8Blocks(codes, first, k, weight.block, scales, values);
  FromFloat(entry.dtype, values.data(), to.data(), count);
  return {};
}

}  // namespace slim
