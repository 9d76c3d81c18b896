// What a layer in logical form becomes in the dialect that is written: names, dtypes, shapes and
// labels at planning time, bytes when its data is there. One target a form of output. Internal to
// convert/.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/layer_reader.h"
#include "convert/config_edit.h"
#include "convert/edges.h"
#include "parallel/thread_pool.h"

namespace slim {

struct ConvertOptions;

struct LayerOutput {
  TensorSpec spec;
  std::string label;
};

struct LayerPlan {
  std::vector<LayerOutput> outputs;  // none: the layer is left out
  LossClass loss = LossClass::kExact;
  std::string reason;   // what happens to it; empty for plain copies
  bool copies = false;  // the one output has the bytes of the one source
};

// What became of the values of one layer. Relative errors over values that are finite and not zero.
struct LayerLoss {
  double worst_relative_error = 0;
  uint64_t changed = 0;
  uint64_t to_zero = 0;
  double signal = 0;  // Σ x² and Σ (x − x')² over the weights, where codes were computed anew
  double noise = 0;
  std::string note;  // for the receipt, beside what the plan says

  bool exact() const { return changed == 0 && noise == 0; }
  // 10 log10(signal / noise); infinite without noise.
  double SqnrDb() const;
};

class LayerTarget {
 public:
  // `reader` outlives the target.
  explicit LayerTarget(const LayerReader& reader) : reader_(reader) {}
  virtual ~LayerTarget() = default;
  // Headers, and parts other than weights where values decide.
  virtual Result<LayerPlan> Plan(const LogicalLayer& layer) const = 0;
  // Tensors parallel to the plan's outputs. Takes the record apart to save memory. A value that the
  // output cannot hold is an error with the tensor (CV-overflow, CV-underflow).
  virtual Result<std::vector<Tensor>> Make(const LogicalLayer& layer, const LayerPlan& plan,
                                           LinearRecord record, LayerLoss& loss) const = 0;
  // After every layer is planned: what the whole checkpoint says of itself.
  virtual Status Finish(const std::vector<LayerPlan>& plans, WritePlan& write, ConfigTarget& config,
                        std::vector<std::string>& notes) const = 0;

 protected:
  const LayerReader& reader_;
};

// The dtype that config.json of the source names; nothing where it names none.
Result<std::optional<DType>> ModelDTypeOf(const LayerReader& reader);

// What targets that keep codes share: scales beside the codes are in the dtype that the model has.
class CodesTarget : public LayerTarget {
 public:
  // A UsageError where `options` ask for another dtype, with `hint`.
  template <typename Target>
  static Result<std::unique_ptr<LayerTarget>> Create(const LayerReader& reader,
                                                     const ConvertOptions& options,
                                                     std::string_view hint = "") {
    SLIM_ASSIGN(const DType model_dtype, DTypeBesideCodes(reader, options, hint));
    return std::unique_ptr<LayerTarget>(std::make_unique<Target>(reader, model_dtype));
  }

  CodesTarget(const LayerReader& reader, DType model_dtype)
      : LayerTarget(reader), model_dtype_(model_dtype) {}

 protected:
  // A tensor that is not quantized: as it is, or left out where it is a copy for MindIE alone.
  Result<LayerPlan> PlanUnquantized(const LogicalLayer& layer) const;
  // One more output "<layer>.<suffix>", labelled with the layer's scheme.
  static void AddOutput(const LogicalLayer& layer, std::string_view suffix, DType dtype,
                        Shape shape, LayerPlan& plan);
  static Error NothingQuantized();

  const DType model_dtype_;

 private:
  static Result<DType> DTypeBesideCodes(const LayerReader& reader, const ConvertOptions& options,
                                        std::string_view hint);
};

// `reader` outlives the target. Errors: CV-no-edge where the dialect cannot be written from this
// source.
Result<std::unique_ptr<LayerTarget>> MakeLayerTarget(const LayerReader& reader,
                                                     const ConvertOptions& options);

}  // namespace slim
