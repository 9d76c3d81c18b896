// What a layer in logical form becomes in the dialect that is written: names, dtypes, shapes and
// labels at planning time, bytes when its data is there. One target a form of output. Internal to
// convert/.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
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

// `reader` outlives the target. Errors: CV-no-edge where the dialect cannot be written from this
// source.
Result<std::unique_ptr<LayerTarget>> MakeLayerTarget(const LayerReader& reader,
                                                     const ConvertOptions& options);

}  // namespace slim
