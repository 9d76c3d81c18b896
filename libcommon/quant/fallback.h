// The fewest layers that must stay float for a quantized model to keep within a budget, found by
// trying: every candidate set is quantized for real, with smoothing and all, and the mean KL
// divergence of its logits from the float model's is measured over windows of the calibration text
// on the reference backend. A proxy (kurtosis of the inputs, or the loss of the weights where
// activations stay float) only orders the candidates. Linears that loaders fuse, or that share an
// input, fall back together; so do the experts of a layer.
#pragma once

#include <string>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "quant/plan.h"

namespace slim {

struct FallbackGroup {
  std::vector<std::string> linears;
  double score = 0;  // of the proxy; higher falls back earlier
};

struct FallbackResult {
  std::vector<FallbackGroup> kept_float;  // by falling score
  double kl_before = 0;                   // nats a token with nothing kept
  double kl_after = 0;
  uint64_t tries = 0;
};

// Windows of the calibration text that a try is judged by, at most.
inline constexpr uint64_t kFallbackWindows = 16;

// `budget` in nats a token, positive. Tries are written beside `target` and removed. Deterministic.
// Errors: those of quantizing and comparing; QU-budget when not even one quantized group is left
// within the budget.
Result<FallbackResult> ChooseFallback(const Checkpoint& source, const QuantOptions& options,
                                      double budget, const std::string& target, Listener& listener);

}  // namespace slim
