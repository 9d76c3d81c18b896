#include "run/memory_estimate.h"

#include "linear/linear_record.h"
#include "model/modules.h"
#include "run/linear_layer.h"

namespace slim {
namespace {

// What kFast holds in float32 (LinearLayer::Load).
bool IsDequantized(Scheme scheme) {
  return CanDequantize(scheme) && !HasFloatWeight(scheme) && !HasIntegerProduct(scheme);
}

}  // namespace

Result<uint64_t> EstimateWeightBytes(const Checkpoint& checkpoint, const ModelConfig& config,
                                     Backend backend) {
  uint64_t total = 0;
  for (const TensorEntry& entry : checkpoint.tensors()) {
    if (PartOf(config, entry.name) == ModelPart::kDecoder) total += entry.size;
  }
  if (backend != Backend::kFast) return total;
  for (const Module& module : AllModules(config)) {
    if (!module.IsLinear() || checkpoint.Find(module.name + ".weight") == nullptr) continue;
    SLIM_ASSIGN(const Scheme scheme, checkpoint.SchemeOf(module.name));
    if (!IsDequantized(scheme)) continue;
    const uint64_t stored = checkpoint.Find(module.name + ".weight")->size;
    const uint64_t held = module.weight_shape[0] * module.weight_shape[1] * sizeof(float);
    total += held > stored ? held - stored : 0;
  }
  return total;
}

}  // namespace slim
