// What to try when a quantized model lost too much, or when a run needs more memory than there is:
// one table, which errors, reports and the man page read. It says with the flags of slim what the
// questions and answers of msModelSlim's quick start say (source document S004), in the order of
// its tuning guide: type, recipe, outliers, activations, calibration text, layers in float.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quant/plan.h"

namespace slim {

enum class AdviceTopic : uint8_t { kAccuracy, kMemory };

// What a run does, or may have done to a checkpoint.
struct AdviceSituation {
  bool few_weight_bits = false;  // below 8
  bool integer_inputs = false;
  bool static_ranges = false;
  bool calibrated = false;
  bool smoothed = false;
  bool pass_a_step = false;  // --propagate quantized
  bool falls_back = false;   // --auto-fallback is at work
};
AdviceSituation SituationOf(const QuantPlan& plan, const QuantOptions& options);
// Of a checkpoint, by the labels of its layers (unknown ones say nothing): whatever those do not
// show is taken for not done.
AdviceSituation SituationOf(std::span<const std::string> labels);

struct Advice {
  AdviceTopic topic;
  std::string_view text;  // a clause without a full stop
  bool (*applies)(const AdviceSituation& situation);
};
std::span<const Advice> AllAdvice();

std::vector<std::string_view> AdviceFor(AdviceTopic topic, const AdviceSituation& situation);
// The same as one line, "; " between.
std::string AdviceLine(AdviceTopic topic, const AdviceSituation& situation);

}  // namespace slim
