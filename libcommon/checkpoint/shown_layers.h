// The layers of a LayerReader as tensors and records that can be computed: what
// Checkpoint::OpenToCompute shows of a dialect whose stored tensors have other names or meanings.
// Nothing is converted before it is read. FP8 blocks become floats of the model's dtype, columns in
// act-order F32; a static layer gets the deq_scale and quant_bias that it lacks.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/layer_reader.h"

namespace slim {

// Thread-safe.
class ShownLayers {
 public:
  // Errors: those of OpenLayers.
  static Result<std::shared_ptr<const ShownLayers>> Of(Checkpoint source);
  // `sources` are what the reader reads.
  ShownLayers(std::vector<std::unique_ptr<const Checkpoint>> sources,
              std::unique_ptr<const LayerReader> reader, DType model_dtype);

  // By name as in Hugging Face's layout, in the reader's order.
  std::vector<TensorEntry> Entries() const;
  // Null for a float module.
  const LogicalLayer* FindLinear(std::string_view module) const;
  Scheme SchemeOf(std::string_view module) const;
  // `layer` is one that FindLinear() gave. Errors of CheckRecord besides those of the reader.
  Result<LinearRecord> ReadLinear(const LogicalLayer& layer) const;
  // Of an entry of Entries(); offset and size in bytes of what is shown.
  Status ReadPart(const TensorEntry& entry, std::span<std::byte> to, uint64_t offset) const;

  // What the reader left out.
  const std::vector<std::string>& notes() const { return reader_->notes(); }

  Status CheckUnchanged() const;
  std::string FilesIdentity() const;

 private:
  bool BecomesFloat(const LogicalLayer& layer) const {
    return layer.block[0] > 0 || !layer.column_groups.empty();
  }
  DType FloatDType(const LogicalLayer& layer) const {
    return layer.block[0] > 0 ? model_dtype_ : DType::kF32;
  }
  Result<Tensor> ReadShown(const TensorEntry& entry, const LogicalLayer& layer) const;

  std::vector<std::unique_ptr<const Checkpoint>> sources_;
  std::unique_ptr<const LayerReader> reader_;
  DType model_dtype_;
  std::unordered_map<std::string_view, const LogicalLayer*> linears_;
};

}  // namespace slim
