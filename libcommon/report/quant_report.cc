#include "report/quant_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "base/version.h"
#include "quant/advice.h"
#include "report/linear_groups.h"

namespace slim {
namespace {

Json Header(std::string_view kind) {
  Json json = Json::Object();
  json.Set("tool", "slim-quant").Set("version", kVersion).Set("kind", kind);
  return json;
}

Json LinearJson(const LinearPlan& linear) {
  Json item = Json::Object();
  item.Set("name", linear.name).Set("type", SchemeLabel(linear.scheme));
  item.Set("n", linear.n).Set("k", linear.k);
  item.Set("bytes_before", linear.bytes_before).Set("bytes_after", linear.bytes_after);
  if (!linear.reason.empty()) item.Set("reason", linear.reason);
  return item;
}

Json AdviceJson(AdviceTopic topic, const AdviceSituation& situation) {
  Json texts = Json::Array();
  for (const std::string_view text : AdviceFor(topic, situation)) texts.Push(text);
  return texts;
}

}  // namespace

std::string SmoothText(const Recipe& recipe) {
  std::vector<std::string> steps;
  for (const SmoothStep* step : StepsOf<SmoothStep>(recipe.process)) {
    const bool fixed =
        step->method == SmoothMethod::kIter || step->method == SmoothMethod::kSmoothQuant;
    std::string text(SmoothMethodName(step->method));
    if (step->alpha || fixed)
      text += fmt::format(" (alpha {})", step->alpha.value_or(DefaultAlpha(step->method)));
    steps.push_back(std::move(text));
  }
  return steps.empty() ? "none" : fmt::format("{}", fmt::join(steps, ", "));
}

std::string QuantPlanText(const QuantPlan& plan, const QuantOptions& options) {
  const Recipe& recipe = options.recipe;
  std::string out =
      fmt::format("type {}, layout {}, compute {}, smooth {}, {}\n", SchemeName(plan.type),
                  TraitsOf(recipe.layout).name, ComputeModeName(recipe.compute), SmoothText(recipe),
                  plan.needs_calibration ? "calibrated" : "data-free");
  std::vector<std::array<std::string, 5>> rows = {
      {"linear", "type", "[n, k]", "size", "why float"}};
  for (const LinearGroup& group : GroupLinears(plan)) {
    rows.push_back(
        {GroupName(group.pattern, group.layers), std::string(SchemeLabel(group.first->scheme)),
         ShapeText({group.first->n, group.first->k}),
         fmt::format("{} -> {}", HumanSize(group.bytes_before), HumanSize(group.bytes_after)),
         group.first->reason});
  }
  std::array<size_t, 5> widths = {};
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  out += fmt::format("smoothed norms: {}\n", plan.SmoothedSources(SmoothPair::kNormLinear).size());
  for (const SmoothPair kind : {SmoothPair::kUpDown, SmoothPair::kOv, SmoothPair::kLinearLinear}) {
    const size_t count = plan.SmoothedSources(kind).size();
    if (count > 0) out += fmt::format("smoothed {} pairs: {}\n", SmoothPairName(kind), count);
  }
  if (!plan.cached.empty()) out += fmt::format("int8 caches: {}\n", plan.cached.size());
  for (const std::string& name : plan.unknown_tensors) {
    out += fmt::format("not part of the architecture, carried as it is: {}\n", Escape(name));
  }
  out += fmt::format("checkpoint: {} -> {}\n", HumanSize(plan.bytes_before),
                     HumanSize(plan.bytes_after));
  return out;
}

Json QuantPlanJson(const QuantPlan& plan, const QuantOptions& options) {
  Json json = Header("plan");
  json.Set("configuration", RecipeJson(options.recipe));
  json.Set("calibrated", plan.needs_calibration);
  Json linears = Json::Array();
  for (const LinearPlan& linear : plan.linears) linears.Push(LinearJson(linear));
  json.Set("linears", std::move(linears));
  Json norms = Json::Array();
  for (const std::string& norm : plan.SmoothedSources(SmoothPair::kNormLinear)) norms.Push(norm);
  json.Set("smoothed_norms", std::move(norms));
  Json unknown = Json::Array();
  for (const std::string& name : plan.unknown_tensors) unknown.Push(name);
  json.Set("unknown_tensors", std::move(unknown));
  json.Set("bytes_before", plan.bytes_before).Set("bytes_after", plan.bytes_after);
  return json;
}

std::string QuantSummaryText(const QuantSummary& summary) {
  std::string out =
      fmt::format("wrote {}: {} linears {}, {} float, {} -> {}", Escape(summary.output),
                  summary.quantized_linears, SchemeLabel(summary.type), summary.float_linears,
                  HumanSize(summary.bytes_before), HumanSize(summary.bytes_after));
  if (!summary.calibration.empty()) {
    out += fmt::format(", calibrated on {} samples ({} tokens) of {}", summary.calibration_samples,
                       summary.calibration_tokens, Escape(summary.calibration));
  }
  return out;
}

Json QuantSummaryJson(const QuantSummary& summary, const QuantPlan& plan,
                      const QuantOptions& options) {
  Json json = Header("summary");
  json.Set("output", summary.output)
      .Set("type", SchemeName(summary.type))
      .Set("layout", TraitsOf(options.recipe.layout).name);
  json.Set("quantized_linears", summary.quantized_linears)
      .Set("float_linears", summary.float_linears);
  json.Set("bytes_before", summary.bytes_before).Set("bytes_after", summary.bytes_after);
  if (!summary.calibration.empty()) {
    Json calibration = Json::Object();
    calibration.Set("file", summary.calibration).Set("samples", summary.calibration_samples);
    json.Set("calibration", std::move(calibration.Set("tokens", summary.calibration_tokens)));
  }
  if (!summary.measurements.empty()) {
    Json linears = Json::Array();
    for (size_t i = 0; i < plan.linears.size(); ++i) {
      Json item = LinearJson(plan.linears[i]);
      const Json measured = MeasurementJson(summary.measurements[i]);
      for (const auto& [key, value] : measured.members()) item.Set(key, value);
      linears.Push(std::move(item));
    }
    json.Set("linears", std::move(linears));
    const AdviceSituation at = SituationOf(plan, options);
    Json advice = Json::Object();
    advice.Set("accuracy", AdviceJson(AdviceTopic::kAccuracy, at));
    json.Set("advice", std::move(advice.Set("memory", AdviceJson(AdviceTopic::kMemory, at))));
  }
  Json unknown = Json::Array();
  for (const std::string& name : summary.left_files) unknown.Push(name);
  return json.Set("left_files", std::move(unknown));
}

}  // namespace slim
