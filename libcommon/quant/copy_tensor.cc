#include "quant/copy_tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "kernels/convert.h"
#include "kernels/reduce.h"
#include "kernels/scan.h"
#include "model/modules.h"
#include "os/memory.h"
#include "quant/weights.h"

namespace slim {
namespace {

bool Travels(const QuantPlan& plan, const Module& module) {
  // A rotation changes what is outside the blocks, too; calibration may change any part of one.
  if (plan.rotation || (plan.needs_calibration && IsInBlock(plan, module))) return false;
  return !module.IsLinear() || plan.Find(module.name)->scheme == Scheme::kFloat;
}

}  // namespace

const TensorEntry* SourceOf(const Checkpoint& source, const QuantPlan& plan,
                            const std::string& tensor) {
  const TensorEntry* entry = source.Find(tensor);
  const bool tied = entry == nullptr && SplitTensorName(tensor).module == kLmHeadName;
  return tied ? source.Find(EmbeddingName(plan.config) + ".weight") : entry;
}

Result<TensorCopy> CopyOf(const Checkpoint& source, const QuantPlan& plan,
                          const std::string& tensor) {
  const TensorCopy copy = {SourceOf(source, plan, tensor), plan.FindTensor(tensor)};
  if (copy.from != nullptr && copy.to != nullptr) return copy;
  return InternalError(fmt::format("{} is not planned", tensor));
}

bool IsInBlock(const QuantPlan& plan, const Module& module) {
  return !plan.by_name && module.name.starts_with(plan.config.prefix + ".layers.");
}

Result<std::vector<TensorCopy>> TravellingTensors(const Checkpoint& source, const QuantPlan& plan,
                                                  std::set<std::string>& skipped) {
  std::vector<std::string> names;
  for (const Module& module : plan.modules) {
    if (!Travels(plan, module) || !skipped.insert(module.name).second) continue;
    names.push_back(module.TensorName());
    if (module.IsLinear() && plan.Find(module.name)->has_bias)
      names.push_back(module.name + ".bias");
  }
  for (const std::string& name : plan.unknown_tensors) {
    if (!skipped.contains(name)) names.push_back(name);
  }
  std::vector<TensorCopy> copies;
  for (const std::string& name : names) {
    SLIM_ASSIGN(const TensorCopy copy, CopyOf(source, plan, name));
    copies.push_back(copy);
  }
  return copies;
}

Result<TensorView> ReadTensor(const Checkpoint& source, const TensorEntry& entry, Buffer& buffer,
                              ThreadPool& pool) {
  constexpr uint64_t kBytesPerTask = 1 << 20;
  SLIM_ASSIGN(const uint64_t size, ByteSize(entry.dtype, entry.shape));
  if (buffer.size() < size) {
    buffer = Buffer();
    buffer = Buffer(size);
    PreferLargePages(buffer.bytes());
  }
  const std::span<std::byte> bytes = buffer.bytes().first(size);
  std::mutex failing;
  Status failed;
  pool.ParallelFor(size, kBytesPerTask, [&](uint64_t begin, uint64_t end) {
    Status read = source.ReadPart(entry, bytes.subspan(begin, end - begin), begin);
    if (read.ok()) return;
    const std::lock_guard lock(failing);
    if (failed.ok()) failed = std::move(read);
  });
  SLIM_TRY(std::move(failed));
  return TensorView{entry.dtype, entry.shape, bytes};
}

Status CopyChanged(const Checkpoint& source, const TensorCopy& copy,
                   const std::function<void(std::span<float> rows)>& change,
                   CheckpointWriter& writer) {
  const TensorEntry& entry = *copy.from;
  const TensorSpec& planned = *copy.to;
  const uint64_t columns = entry.shape.empty() ? 1 : entry.shape.back();
  const uint64_t from = DTypeBits(entry.dtype) / 8;
  const uint64_t to = DTypeBits(planned.dtype) / 8;
  std::vector<std::byte> bytes;
  std::vector<float> values;
  const auto read = [&](std::span<std::byte> part, uint64_t offset) -> Status {
    const uint64_t first = offset / to / columns;
    const uint64_t last = ((offset + part.size()) / to + columns - 1) / columns;
    values.resize((last - first) * columns);
    bytes.resize(values.size() * std::max(from, to));
    const std::span<std::byte> rows(bytes.data(), values.size() * from);
    SLIM_TRY(source.ReadPart(entry, rows, first * columns * from));
    ToFloat(entry.dtype, rows.data(), values.data(), values.size());
    if (!AllFinite(values.data(), values.size())) return NotFiniteError(entry.name);
    change(values);
    RoundToDType(planned.dtype, values.data(), values.size());
    if (!AllFinite(values.data(), values.size()))
      return BeyondRangeError(entry.name, planned.dtype);
    FromFloat(planned.dtype, values.data(), bytes.data(), values.size());
    std::copy_n(bytes.data() + (offset - first * columns * to), part.size(), part.data());
    return {};
  };
  return writer.Copy(planned.name, read);
}

Status CopyTensor(const Checkpoint& source, const TensorCopy& copy, CheckpointWriter& writer) {
  const TensorEntry& entry = *copy.from;
  if (copy.to->dtype != entry.dtype)
    return CopyChanged(
        source, copy, [](std::span<float>) {}, writer);
  return writer.Copy(copy.to->name, [&](std::span<std::byte> part, uint64_t offset) -> Status {
    SLIM_TRY(source.ReadPart(entry, part, offset));
    // A tensor that is not part of the architecture may be of any dtype.
    if (!CanConvertToFloat(entry.dtype)) return {};
    if (AllFinite(entry.dtype, part.data(), part.size() / (DTypeBits(entry.dtype) / 8))) return {};
    return NotFiniteError(entry.name);
  });
}

}  // namespace slim
