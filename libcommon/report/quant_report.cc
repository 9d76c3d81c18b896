#include "report/quant_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "base/version.h"

namespace slim {
namespace {

struct Group {
  const LinearPlan* first = nullptr;
  std::vector<uint64_t> layers;
  uint64_t bytes_before = 0;
  uint64_t bytes_after = 0;
};

// "model.layers.3.mlp.up_proj" -> {"model.layers.*.mlp.up_proj", 3}; a name outside the blocks has
// no layer.
std::pair<std::string, std::optional<uint64_t>> SplitLayer(const std::string& name) {
  constexpr std::string_view kMark = ".layers.";
  const size_t mark = name.find(kMark);
  if (mark == std::string::npos) return {name, std::nullopt};
  const size_t begin = mark + kMark.size();
  const size_t end = name.find('.', begin);
  return {name.substr(0, begin) + "*" + name.substr(end),
          std::stoull(name.substr(begin, end - begin))};
}

std::string GroupName(const std::string& pattern, const std::vector<uint64_t>& layers) {
  if (layers.empty()) return pattern;
  const bool run = layers.back() - layers.front() + 1 == layers.size();
  const std::string which = layers.size() == 1 ? std::to_string(layers.front())
                            : run ? fmt::format("{{{}..{}}}", layers.front(), layers.back())
                                  : fmt::format("{{{}}}", fmt::join(layers, ","));
  std::string name = pattern;
  return name.replace(name.find('*'), 1, which);
}

std::vector<std::pair<std::string, Group>> GroupLinears(const QuantPlan& plan) {
  std::vector<std::pair<std::string, Group>> groups;
  std::map<std::string, size_t> by_key;
  for (const LinearPlan& linear : plan.linears) {
    const auto [pattern, layer] = SplitLayer(linear.name);
    const std::string key = fmt::format("{}|{}|{}|{}|{}", pattern, static_cast<int>(linear.scheme),
                                        linear.reason, linear.n, linear.k);
    const auto [place, fresh] = by_key.emplace(key, groups.size());
    if (fresh) groups.emplace_back(pattern, Group{&linear, {}, 0, 0});
    Group& group = groups[place->second].second;
    if (layer) group.layers.push_back(*layer);
    group.bytes_before += linear.bytes_before;
    group.bytes_after += linear.bytes_after;
  }
  return groups;
}

// "iter_smooth (alpha 0.9)", "none".
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

Json Header(std::string_view kind) {
  Json json = Json::Object();
  json.Set("tool", "slim-quant").Set("version", kVersion).Set("kind", kind);
  return json;
}

}  // namespace

std::string QuantPlanText(const QuantPlan& plan, const QuantOptions& options) {
  const Recipe& recipe = options.recipe;
  std::string out =
      fmt::format("type {}, layout {}, compute {}, smooth {}, {}\n", SchemeName(plan.type),
                  TraitsOf(recipe.layout).name, ComputeModeName(recipe.compute), SmoothText(recipe),
                  plan.needs_calibration ? "calibrated" : "data-free");
  std::vector<std::array<std::string, 5>> rows = {
      {"linear", "type", "[n, k]", "size", "why float"}};
  for (const auto& [pattern, group] : GroupLinears(plan)) {
    rows.push_back(
        {GroupName(pattern, group.layers), std::string(SchemeLabel(group.first->scheme)),
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
  for (const LinearPlan& linear : plan.linears) {
    Json item = Json::Object();
    item.Set("name", linear.name).Set("type", SchemeLabel(linear.scheme));
    item.Set("n", linear.n).Set("k", linear.k);
    item.Set("bytes_before", linear.bytes_before).Set("bytes_after", linear.bytes_after);
    if (!linear.reason.empty()) item.Set("reason", linear.reason);
    linears.Push(std::move(item));
  }
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

Json QuantSummaryJson(const QuantSummary& summary, const QuantOptions& options) {
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
  Json unknown = Json::Array();
  for (const std::string& name : summary.left_files) unknown.Push(name);
  return json.Set("left_files", std::move(unknown));
}

}  // namespace slim
