// Repairs that compute a layer's tensors: companions that follow from others, layers as floats,
// fused groups with one input scale. Internal to convert/.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/layer_reader.h"
#include "convert/dialect_forms.h"
#include "convert/tensor_plan.h"
#include "linear/int8.h"

namespace slim {

// What `anchor`, the weight of a quantized layer or a kv_cache_scale, should have beside it and has
// not: offsets (zero), deq_scale from weight_scale and input_scale, weight_scale of W8A8_MIX from
// deq_scale and input_scale, quant_bias from bias, codes and input_offset.
Result<std::vector<TensorPlan>> MissingCompanions(const Checkpoint& source,
                                                  const TensorPlan& anchor);

class LayerRepair {
 public:
  explicit LayerRepair(FormChange& change) : change_(change) {}

  // The layer's tensors become its float weight, labelled FLOAT, in the model's dtype, and its bias
  // where it has one.
  Status Dequantize(const std::string& module);
  // One input range for all members: the least that holds all of theirs. deq_scale and quant_bias
  // follow; codes stay. Gives what was done, in words; empty where they are
  // equal already. LD-input-scale where a range is damaged.
  Result<std::string> Refold(const std::vector<std::string>& members);
  // W4A8_DYNAMIC with scales of groups becomes W4A8_DYNAMIC with one scale a row, its scale_bias
  // computed anew (consumers.md 10.9). `packs_int4`: of the dialect that is written. Gives the SQNR
  // of the weight in dB.
  Result<double> QuantizePerChannel(const std::string& module, bool packs_int4);
  // kv_cache_offset becomes zero, and kv_cache_scale wide enough for the range that both had
  // (consumers.md 10.10). Gives how much wider the widest is.
  Result<double> CenterCache(const std::string& module);

 private:
  // A member of a fused group, and the range its inputs are quantized with.
  struct FusedInput {
    LinearRecord record;
    QuantizationRange range;
  };
  Result<FusedInput> ReadInput(const std::string& module);
  Status Refit(const FusedInput& member, const QuantizationRange& range);
  void Replace(const std::string& name, Tensor value, double loss, std::string reason);
  Result<const LayerReader*> Reader();
  TensorPlan* Find(const std::string& tensor);
  Result<const LogicalLayer*> Layer(const std::string& module);

  FormChange& change_;
  std::shared_ptr<const LayerReader> reader_;
};

}  // namespace slim
