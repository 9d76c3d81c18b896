// Checkpoint over torch.save's files and over msModelSlim's numpy layout, whose tensors are torch's
// too: views of storages inside a file.
#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/npy_file.h"
#include "checkpoint/torch_file.h"

namespace slim {
namespace {

ByteSource SourceOf(const File& file) {
  return {file.size(), [&file](std::span<std::byte> to, uint64_t offset) {
            return file.ReadExactAt(to, offset);
          }};
}

SafetensorsHeader HeaderOf(std::vector<TorchTensor> tensors) {
  SafetensorsHeader header;
  for (TorchTensor& tensor : tensors) {
    header.tensors.push_back({std::move(tensor.name), tensor.dtype, std::move(tensor.shape),
                              tensor.offset, tensor.offset + tensor.extent,
                              std::move(tensor.strides)});
  }
  return header;
}

}  // namespace

Result<Shard> Checkpoint::OpenTorchShard(const std::string& name, File file) const {
  auto read = ReadTorchFile(SourceOf(file));
  if (!read.ok()) return std::move(read).error().WithPath(file.path());
  if (read->tensors.front().name.empty()) {
    return InputError("PT-dict", "holds a tensor by itself, not a dict of tensors")
        .WithPath(file.path());
  }
  Shard shard{name, std::move(file), HeaderOf(std::move(read->tensors)), nullptr, {}};
  for (const std::string& key : read->left_out)
    shard.notes.push_back(fmt::format("left out: {} of {} is no tensor", Quote(key), Quote(name)));
  for (const std::string& tie : read->tied)
    shard.notes.push_back(
        fmt::format("tensors that share their bytes are written as copies: {}", tie));
  return shard;
}

Result<Shard> Checkpoint::OpenNpyShard(const std::string& name, File file) const {
  auto tensors = ReadNpyDict(SourceOf(file), NpyNaming(name));
  if (!tensors.ok()) return std::move(tensors).error().WithPath(file.path());
  return Shard{name, std::move(file), HeaderOf(std::move(*tensors)), nullptr, {}};
}

void Checkpoint::FinishContainer() {
  for (const Shard& shard : shards_)
    made_notes_.insert(made_notes_.end(), shard.notes.begin(), shard.notes.end());
  Status status;
  if (guess_.container == Container::kGguf) status = FinishGguf();
  if (guess_.container == Container::kNpy) DescribeNpy();
  if (!status.ok()) problems_.push_back(std::move(status).error());
}

void Checkpoint::DescribeNpy() {
  if (!problems_.empty()) return;
  IndexNames();
  const Json* quantize = config_ ? config_->Find("quantize") : nullptr;
  const std::string type(quantize == nullptr ? "" : quantize->AsString().value_or(""));
  description_.emplace();
  for (const TensorEntry& entry : tensors_) {
    const auto [module, suffix] = SplitTensorName(entry.name);
    const auto has = [&, name = module](std::string_view part) {
      return Find(fmt::format("{}.{}", name, part)) != nullptr;
    };
    const TensorEntry* weight = Find(fmt::format("{}.weight", module));
    const bool parts = has("deq_scale") || has("weight_scale") || has("input_scale");
    const auto unlabelled = [&](std::string_view rule, std::string message, std::string hint) {
      if (&entry != weight) return;
      problems_.push_back(InputError(std::string(rule), std::move(message), std::move(hint))
                              .WithTensor(weight->name)
                              .WithPath(path_));
    };
    if (weight != nullptr && parts && weight->shape.size() == 1) {
      unlabelled("NP-bias",
                 "holds the layer's bias where its weight should be: saving as numpy put both "
                 "under one name",
                 "save the model as safetensors again");
      continue;
    }
    if (suffix == "bias" || weight == nullptr || !parts || weight->dtype != DType::kI8) {
      description_->AddTensor(entry.name, "FLOAT");
      continue;
    }
    std::string label = "W8A8";
    if (!has("deq_scale") && !has("input_scale")) {
      if (type != "w8a16" && type != "w8a8_dynamic") {
        unlabelled("NP-type", "belongs to W8A16 or to W8A8_DYNAMIC, whose arrays are the same",
                   "add \"quantize\": \"w8a16\" or \"w8a8_dynamic\" to config.json");
        continue;
      }
      label = ToUpper(type);
    }
    description_->AddTensor(entry.name, label);
  }
}

// The whole reach of the view is read and its elements are gathered: views of checkpoints are
// transposed matrices and slices of one.
Status Checkpoint::ReadStrided(const TensorEntry& entry, std::span<std::byte> to,
                               uint64_t offset) const {
  const uint64_t width = DTypeBits(entry.dtype) / 8;
  if (width == 0 || offset % width != 0 || to.size() % width != 0)
    return InternalError("part of a value of a strided tensor");
  uint64_t reach = 0;
  for (size_t i = 0; i < entry.shape.size(); ++i) reach += (entry.shape[i] - 1) * entry.strides[i];
  Buffer bytes((reach + 1) * width);
  auto status = shards_[entry.shard].file.ReadExactAt(bytes.bytes(), entry.offset);
  if (!status.ok()) return std::move(status).error().WithTensor(entry.name);
  GatherStrided(bytes.bytes(), entry.shape, entry.strides, width, offset / width, to);
  return {};
}

}  // namespace slim
