// One tensor of a conversion's output: where it comes from, what is done to it, what that loses.
// A tensor is the source's bytes or what `make` computes from the source, then rounded to another
// dtype where `to` asks for it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_writer.h"
#include "convert/dtype_change.h"
#include "convert/edges.h"
#include "dtype/dtype.h"
#include "tensor/shape.h"
#include "tensor/tensor.h"

namespace slim {

enum class TensorAction : uint8_t {
  kCopy,
  kRelabel,    // the same bytes under another label
  kDuplicate,  // a second copy of a tensor
  kRepack,     // the same codes in another arrangement
  kConvert,    // another dtype
  kCompute,    // values made from those of other tensors
  kDrop
};
std::string_view TensorActionName(TensorAction action);  // "copied"

struct TensorPlan {
  std::string name;    // in the output; of a dropped tensor in the source
  std::string source;  // the tensor of the input that it comes from, or the first of several
  std::string label;
  TensorAction action = TensorAction::kCopy;
  DType from = DType::kF32;  // of the source, or of what `make` gives
  DType to = DType::kF32;
  Shape from_shape;  // of the source
  Shape shape;       // of the output
  LossClass loss = LossClass::kExact;
  double worst_relative_error = 0;
  uint64_t to_zero = 0;           // values that rounding makes zero
  std::optional<double> sqnr_db;  // of the weight, where codes are computed anew
  double loaded_error = 0;        // relative, where the loader of --for rounds what the file keeps
  uint32_t shard = 0;             // of the source, numbered by file name
  std::string reason;             // empty for a plain copy

  // Computes a tensor of dtype `from` and shape `shape`; empty: the bytes of `source`. Called from
  // several threads, and more than once where the plan measures losses: gives the same bytes each
  // time.
  std::function<Result<Tensor>(const Checkpoint& source)> make;
  uint64_t work_bytes = 0;  // what `make` holds in memory at most; without it: the source's size

  std::string_view FromName() const { return DTypeName(from); }
  std::string_view ToName() const { return DTypeName(to); }
  std::string ShapeName() const { return ShapeText(shape); }
};

// A tensor as it is, with its source's dtype and shape.
TensorPlan PlanCopy(const TensorEntry& entry, std::string label);

// Bytes that working on the tensor takes: for ForEachTensor().
uint64_t WorkBytes(const TensorPlan& tensor, const Checkpoint& source);

// The bytes of `entry` as the output's `name`, in pieces where the source holds them in one row.
Status CopyTensor(CheckpointWriter& writer, std::string_view name, const Checkpoint& source,
                  const TensorEntry& entry);
// What CopyTensor() holds in memory at most.
uint64_t CopyBytes(const TensorEntry& entry);

// The tensor before rounding: dtype `from`.
Result<Tensor> MakeTensor(const TensorPlan& tensor, const Checkpoint& source);
// `made` rounded or re-encoded to `to`. Errors of ChangeDType() and ChangeDeqScale().
Result<Tensor> RoundTensor(const TensorPlan& tensor, Tensor made, RoundingLoss* loss);

}  // namespace slim
