#include "convert/tensor_plan.h"

#include <algorithm>

namespace slim {

std::string_view TensorActionName(TensorAction action) {
  switch (action) {
    case TensorAction::kCopy:
      return "copied";
    case TensorAction::kRelabel:
      return "relabelled";
    case TensorAction::kDuplicate:
      return "duplicated";
    case TensorAction::kRepack:
      return "repacked";
    case TensorAction::kConvert:
      return "converted";
    case TensorAction::kCompute:
      return "computed";
    case TensorAction::kDrop:
      return "dropped";
  }
  return "copied";
}

TensorPlan PlanCopy(const TensorEntry& entry, std::string label) {
  TensorPlan copy;
  copy.name = entry.name;
  copy.source = entry.name;
  copy.label = std::move(label);
  copy.from = entry.dtype;
  copy.to = entry.dtype;
  copy.from_shape = entry.shape;
  copy.shape = entry.shape;
  return copy;
}

uint64_t WorkBytes(const TensorPlan& tensor, const Checkpoint& source) {
  if (tensor.make && tensor.work_bytes > 0) return tensor.work_bytes;
  const TensorEntry* entry = source.Find(tensor.source);
  if (entry == nullptr) return 0;
  return tensor.make || tensor.from != tensor.to ? entry->size : CopyBytes(*entry);
}

Status CopyTensor(CheckpointWriter& writer, std::string_view name, const Checkpoint& source,
                  const TensorEntry& entry) {
  if (entry.strides.empty()) {
    return writer.Copy(name, [&](std::span<std::byte> part, uint64_t offset) {
      return source.ReadPart(entry, part, offset);
    });
  }
  SLIM_ASSIGN(const Tensor data, source.Read(entry));
  return writer.Write(name, data.data.bytes());
}

uint64_t CopyBytes(const TensorEntry& entry) {
  return entry.strides.empty() ? std::min(entry.size, CheckpointWriter::kCopyBytes) : entry.size;
}

Result<Tensor> MakeTensor(const TensorPlan& tensor, const Checkpoint& source) {
  if (!tensor.make) return source.Read(tensor.source);
  SLIM_ASSIGN(Tensor made, tensor.make(source));
  if (made.dtype == tensor.from && made.shape == tensor.shape) return made;
  return InternalError("a computed tensor is not what was planned").WithTensor(tensor.name);
}

Result<Tensor> RoundTensor(const TensorPlan& tensor, Tensor made, RoundingLoss* loss) {
  if (tensor.from == tensor.to) return made;
  Tensor changed(tensor.to, tensor.shape);
  if (tensor.from == DType::kI64 || tensor.to == DType::kI64) {
    SLIM_TRY(ChangeDeqScale(made.view(), tensor.to, changed.data.bytes()));
    return changed;
  }
  SLIM_ASSIGN(const RoundingLoss measured,
              ChangeDType(made.view(), tensor.to, changed.data.bytes()));
  if (loss != nullptr) *loss = measured;
  return changed;
}

}  // namespace slim
