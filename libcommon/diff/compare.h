// A comparison of two checkpoints from paths to figures: opens both, makes sure they can be
// compared, cuts the prompts, walks both models in lock step, looks at layers and weights where
// asked to, and checks the limits. Either may be float or quantized. Writes nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "diff/bisect.h"
#include "diff/dumps.h"
#include "diff/layer_errors.h"
#include "diff/lock_step.h"
#include "diff/metrics.h"
#include "diff/routing.h"
#include "diff/subject.h"
#include "diff/threshold.h"
#include "diff/weights.h"
#include "run/linear_layer.h"
#include "run/model.h"

namespace slim {

struct DiffOptions {
  std::string first;
  std::string second;
  bool run = true;             // false: weights only
  std::string prompts;         // a file or "-"; empty: the calibration set that ships
  uint64_t window_tokens = 0;  // 0: kDefaultWindow, or the shorter context where that is less
  uint64_t max_windows = 0;    // 0: all
  bool greedy = true;
  bool layers = false;
  bool weights = false;
  // Do without layers or weights where these cannot be compared, with a warning.
  bool best_effort = false;
  uint64_t bisect = 0;        // groups of linears to try in float; with layers only
  uint64_t worst_tokens = 0;  // positions to keep with their text
  std::vector<Threshold> thresholds;
  Backend backend = Backend::kFast;
  FloatInputs float_inputs = FloatInputs::kFp32;
  PhaseChoice phase = PhaseChoice::kAuto;
  uint64_t max_memory = 0;  // bytes; 0: what the machine has
  int threads = 1;
};

inline constexpr uint64_t kDefaultWindow = 256;

struct GreedyText {
  uint64_t prompt_tokens = 0;
  uint64_t first_tokens = 0;  // new ones
  uint64_t second_tokens = 0;
  std::string first;
  std::string second;
  std::optional<uint64_t> first_difference;  // new token, from 1; empty: same text
};

// A position where the models disagree most, as text.
struct WorstToken {
  WorstPosition at;
  std::string before;  // the tokens up to here, the last ones
  std::string next;    // the token that follows in the text; empty at the end of a window
  std::string first;   // what each model puts first
  std::string second;
};

struct DiffResult {
  DiffSubject first;
  DiffSubject second;
  bool run = true;
  std::string prompts;  // where they came from
  uint64_t window_tokens = 0;
  LogitSummary summary;
  std::vector<double> divergences;        // KL of every position, in order
  std::optional<RoutingSummary> routing;  // of models with experts
  std::vector<GreedyText> greedy;
  std::vector<WorstToken> worst;
  std::optional<LayerErrors> layers;
  std::vector<FusedGroup> ranked;  // with layers
  std::optional<BisectResult> bisect;
  std::optional<WeightReport> weights;
  std::vector<ThresholdResult> thresholds;
  // Set when logits of one were not finite: no figure counts then, and no limit is met.
  std::optional<NonFinite> non_finite;

  // Finite, and every limit met.
  bool passed() const;
};

// Two files of slim-run --logits as a comparison: no layers, no weights, no texts.
Result<DiffResult> CompareLogitFiles(const DiffOptions& options, const SavedLogits& first,
                                     const SavedLogits& second, Listener& listener);

// Errors besides those of what it calls: DIFF-vocabulary (different vocab_size), DIFF-tokenizer,
// and a usage error for windows longer than a context, or a limit on routing without experts.
Result<DiffResult> CompareCheckpoints(const DiffOptions& options, Listener& listener);

}  // namespace slim
