// A comparison of two checkpoints from paths to figures: opens both, makes sure they can be
// compared, cuts the prompts, walks both models in lock step and checks the limits. Either may be
// float or quantized. Writes nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "diff/lock_step.h"
#include "diff/metrics.h"
#include "diff/routing.h"
#include "diff/threshold.h"
#include "run/linear_layer.h"

namespace slim {

struct DiffOptions {
  std::string first;
  std::string second;
  std::string prompts;         // a file or "-"; empty: the calibration set that ships
  uint64_t window_tokens = 0;  // 0: kDefaultWindow, or the shorter context where that is less
  uint64_t max_windows = 0;    // 0: all
  bool greedy = true;
  std::vector<Threshold> thresholds;
  Backend backend = Backend::kFast;
  int threads = 1;
};

inline constexpr uint64_t kDefaultWindow = 256;

struct DiffSubject {
  std::string path;
  std::string dialect;
  std::vector<std::string> types;  // labels of the linear layers of the blocks, most frequent first
};

struct GreedyText {
  uint64_t prompt_tokens = 0;
  uint64_t first_tokens = 0;  // new ones
  uint64_t second_tokens = 0;
  std::string first;
  std::string second;
  std::optional<uint64_t> first_difference;  // new token, from 1; empty: same text
};

struct DiffResult {
  DiffSubject first;
  DiffSubject second;
  std::string prompts;  // where they came from
  uint64_t window_tokens = 0;
  LogitSummary summary;
  std::optional<RoutingSummary> routing;  // of models with experts
  std::vector<GreedyText> greedy;
  std::vector<ThresholdResult> thresholds;
  // Set when logits of one were not finite: no figure counts then, and no limit is met.
  std::optional<NonFinite> non_finite;

  // Finite, and every limit met.
  bool passed() const;
};

// Errors besides those of what it calls: DIFF-vocabulary (different vocab_size), DIFF-tokenizer,
// and a usage error for windows longer than a context.
Result<DiffResult> CompareCheckpoints(const DiffOptions& options, Listener& listener);

}  // namespace slim
