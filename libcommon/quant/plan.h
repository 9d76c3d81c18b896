// The plan of a quantization: which linear gets which type and why, what is smoothed, every output
// tensor with dtype and shape. Made from headers alone; --dry-run prints it, the pipeline follows
// it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_writer.h"
#include "model/model_config.h"
#include "model/modules.h"
#include "quant/options.h"
#include "quant/rotation.h"

namespace slim {

struct LinearPlan {
  std::string name;
  uint64_t n = 0;
  uint64_t k = 0;
  bool has_bias = false;
  DType weight_dtype = DType::kF32;  // of the source; smoothing works in others
  DType bias_dtype = DType::kF32;    // of the source, or that of a bias that is added
  bool bias_added = false;           // the source has none: smoothing with a shift makes it
  Scheme scheme = Scheme::kFloat;
  size_t step = 0;  // of the recipe, that selected it (quant/stages.h counts them)
  ActivationSettings activation;
  WeightSettings weight;
  std::string reason;         // why it stays float; empty when it is quantized
  uint64_t bytes_before = 0;  // weight and bias
  uint64_t bytes_after = 0;   // with scales
};

struct PlannedPair {
  size_t step = 0;  // of the recipe
  SmoothPairing pairing;
};

struct QuantPlan {
  ModelConfig config;
  // The architecture is unknown: the linears are those that LinearsByName finds, config has no
  // layers, nothing is calibrated.
  bool by_name = false;
  std::vector<Module> modules;       // in model order
  DType model_dtype = DType::kBF16;  // of config.json, else of the weights
  Scheme type = Scheme::kFloat;      // of the checkpoint as a whole: that of most of its linears
  std::vector<LinearPlan> linears;   // in model order
  std::unordered_map<std::string, size_t> linear_index;  // positions in linears
  // By block, in folding order: pairs that a step selects and of whose targets at least one is
  // quantized (compute model: and whatever msModelSlim would smooth).
  std::vector<std::vector<PlannedPair>> smoothing;
  std::optional<ModelRotation> rotation;
  std::vector<std::string> biased_norms;  // get a bias that the source does not have
  std::vector<std::string> cached;        // attention modules whose cache is quantized
  bool needs_calibration = false;
  std::vector<std::string>
      unknown_tensors;  // of the source, not part of the architecture: carried as FLOAT
  std::vector<std::string> dropped_tensors;  // buffers that no loader reads (rotary inv_freq)
  uint64_t bytes_before = 0;
  uint64_t bytes_after = 0;
  WritePlan write;
  std::unordered_map<std::string, size_t> tensor_index;  // positions in write.tensors

  const LinearPlan* Find(std::string_view module) const;
  // A tensor of the output; null when it has none such.
  const TensorSpec* FindTensor(std::string_view name) const;
  // The sources of the pairs of one kind, in model order.
  std::vector<std::string> SmoothedSources(SmoothPair kind) const;
};

// Errors: the source is no float hf checkpoint, config.json is missing or unknown, a tensor is
// missing or has another shape than config.json says, a layout that cannot carry the type. A glob
// that matches nothing is a warning.
Result<QuantPlan> PlanQuantization(const Checkpoint& source, const QuantOptions& options,
                                   Listener& listener);

}  // namespace slim
