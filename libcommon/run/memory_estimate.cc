#include "run/memory_estimate.h"

#include "model/modules.h"

namespace slim {
namespace {

// The types that kFast holds in float32 (LinearLayer::Load).
bool IsDequantized(Scheme scheme) {
  switch (scheme) {
    case Scheme::kW8A16:
    case Scheme::kW4A16:
    case Scheme::kWFP8AFP8Dynamic:
    case Scheme::kW8A8MXFP8:
    case Scheme::kW4A8MXFP:
    case Scheme::kW4A4MXFP4:
    case Scheme::kW4A4MXFP4DualScale:
      return true;
    default:
      return false;
  }
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
