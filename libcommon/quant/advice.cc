#include "quant/advice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "linear/w8a8.h"

namespace slim {
namespace {

using enum AdviceTopic;

bool Always(const AdviceSituation& /*situation*/) { return true; }

constexpr Advice kAdvice[] = {
    {kAccuracy, "a type with more bits loses less: --type w8a8 or w8a8_dynamic instead of int4",
     [](const AdviceSituation& at) { return at.few_weight_bits; }},
    {kAccuracy, "recipes that were tuned for a model: --list-presets shows them, --preset NAME",
     Always},
    {kAccuracy, "smooth outlier channels: --smooth flex, or iter with another --alpha",
     [](const AdviceSituation& at) { return at.integer_inputs && !at.smoothed; }},
    {kAccuracy, "one activation range a token instead of one a layer: --type w8a8_dynamic",
     [](const AdviceSituation& at) { return at.static_ranges; }},
    {kAccuracy, "calibrate on 10 to 50 samples of what the model is for: --calib FILE",
     [](const AdviceSituation& at) { return at.calibrated; }},
    {kAccuracy,
     "keep the layers that cost most in float: --auto-fallback --budget kl=X finds them; or "
     "slim-quant analyze, slim-diff --layers, and --disable-names",
     [](const AdviceSituation& at) { return !at.falls_back; }},
    {kMemory, "--propagate float runs every sample once and needs less",
     [](const AdviceSituation& at) { return at.pass_a_step; }},
    {kMemory, "fewer or shorter samples need less: --calib FILE",
     [](const AdviceSituation& at) { return at.calibrated; }},
    {kMemory,
     "a type without calibration needs less: --type w8a16, or w8a8_dynamic with --smooth none",
     [](const AdviceSituation& at) { return at.calibrated; }},
};

void AddLayer(Scheme scheme, CodeType inputs, AdviceSituation& at) {
  if (scheme == Scheme::kFloat) return;
  at.few_weight_bits = at.few_weight_bits || SchemeWeightBits(scheme) < 8;
  at.integer_inputs = at.integer_inputs || inputs == CodeType::kInt8 || inputs == CodeType::kInt4;
  at.static_ranges = at.static_ranges || HasStaticActivations(scheme);
}

}  // namespace

AdviceSituation SituationOf(const QuantPlan& plan, const QuantOptions& options) {
  AdviceSituation at;
  at.calibrated = plan.needs_calibration;
  at.pass_a_step = options.recipe.propagate == Propagation::kQuantized;
  at.smoothed = !StepsOf<SmoothStep>(options.recipe.process).empty();
  for (const LinearPlan& linear : plan.linears)
    AddLayer(linear.scheme, linear.activation.dtype, at);
  return at;
}

AdviceSituation SituationOf(std::span<const std::string> labels) {
  AdviceSituation at;
  for (const std::string& label : labels) {
    const auto scheme = ParseSchemeLabel(label);
    if (scheme) AddLayer(*scheme, SettingsOf(*scheme).activation.dtype, at);
  }
  at.calibrated = at.static_ranges;
  return at;
}

std::span<const Advice> AllAdvice() { return kAdvice; }

std::vector<std::string_view> AdviceFor(AdviceTopic topic, const AdviceSituation& situation) {
  std::vector<std::string_view> texts;
  for (const Advice& advice : kAdvice) {
    if (advice.topic == topic && advice.applies(situation)) texts.push_back(advice.text);
  }
  return texts;
}

std::string AdviceLine(AdviceTopic topic, const AdviceSituation& situation) {
  return fmt::format("{}", fmt::join(AdviceFor(topic, situation), "; "));
}

}  // namespace slim
