#include <utility>
#include <vector>

#include "base/version.h"
#include "report/diff_figures.h"
#include "report/diff_report.h"

namespace slim {
namespace {

Json StringsJson(const std::vector<std::string>& texts) {
  Json json = Json::Array();
  for (const std::string& text : texts) json.Push(text);
  return json;
}

Json SubjectJson(const DiffSubject& subject) {
  Json json = Json::Object();
  json.Set("path", subject.path).Set("dialect", subject.dialect);
  return json.Set("types", StringsJson(subject.types));
}

void SetFigures(const std::vector<DiffFigure>& figures, Json& json) {
  for (const DiffFigure& figure : figures) json.Set(figure.statistic, Json::Real(figure.value));
}

Json GreedyJson(const DiffResult& result) {
  Json prompts = Json::Array();
  for (const GreedyText& text : result.greedy) {
    Json json = Json::Object();
    json.Set("prompt_tokens", text.prompt_tokens);
    json.Set("first_tokens", text.first_tokens).Set("second_tokens", text.second_tokens);
    json.Set("first_difference", text.first_difference ? Json(*text.first_difference) : Json());
    json.Set("first_text", text.first).Set("second_text", text.second);
    prompts.Push(std::move(json));
  }
  return prompts;
}

Json MetricJson(const DiffResult& result, Metric metric) {
  if (metric == Metric::kGreedy) return GreedyJson(result);
  const LogitSummary& summary = result.summary;
  Json json = Json::Object();
  SetFigures(DiffFigures(result, metric), json);
  if (metric == Metric::kKl) {
    json.Set("max_window", summary.kl_max_place.window);
    json.Set("max_position", summary.kl_max_place.position);
  }
  if (metric == Metric::kTop1) json.Set("flips", summary.flips);
  if (metric == Metric::kRouting) {
    json.Set("choices", result.routing->choices).Set("worst_layer", result.routing->worst_layer);
  }
  return json;
}

Json WorstJson(const DiffResult& result) {
  Json tokens = Json::Array();
  for (const WorstToken& worst : result.worst) {
    Json json = Json::Object();
    json.Set("window", worst.at.place.window).Set("position", worst.at.place.position);
    json.Set("kl", Json::Real(worst.at.metrics.kl)).Set("before", worst.before);
    json.Set("next", worst.at.scored ? Json(worst.next) : Json());
    json.Set("first", worst.first).Set("first_p", Json::Real(worst.at.metrics.first_top_p));
    json.Set("second", worst.second).Set("second_p", Json::Real(worst.at.metrics.second_top_p));
    tokens.Push(std::move(json));
  }
  return tokens;
}

Json LayersJson(const DiffResult& result) {
  Json blocks = Json::Array();
  for (const BlockErrors& block : result.layers->blocks) {
    Json json = Json::Object();
    json.Set("name", block.name);
    SetFigures(BlockFigures(block), json);
    blocks.Push(std::move(json));
  }
  Json linears = Json::Array();
  for (const LinearErrors& linear : result.layers->linears) {
    Json json = Json::Object();
    json.Set("name", linear.name).Set("type", SchemeLabel(linear.type)).Set("rows", linear.rows);
    SetFigures(LinearFigures(linear), json);
    linears.Push(std::move(json));
  }
  Json ranking = Json::Array();
  for (const size_t index : result.layers->Ranking())
    ranking.Push(result.layers->linears[index].name);
  Json json = Json::Object();
  json.Set("blocks", std::move(blocks)).Set("linears", std::move(linears));
  return json.Set("ranking", std::move(ranking));
}

Json BisectJson(const BisectResult& bisect) {
  Json kept = Json::Array();
  for (const KeptGroup& group : bisect.kept) {
    Json json = Json::Object();
    json.Set("linears", StringsJson(group.group.selectors));
    json.Set("local_sqnr_db", Json::Real(group.group.local_sqnr_db));
    kept.Push(std::move(json.Set("kl", Json::Real(group.kl))));
  }
  Json together = Json::Array();
  for (const double kl : bisect.together) together.Push(Json::Real(kl));
  Json json = Json::Object();
  json.Set("positions", bisect.positions).Set("kl", Json::Real(bisect.kl));
  json.Set("kept_in_float", std::move(kept)).Set("together", std::move(together));
  return json.Set("disable_names", StringsJson(bisect.DisableNames()));
}

Json WeightsJson(const WeightReport& weights) {
  Json tensors = Json::Array();
  for (const WeightErrors& tensor : weights.tensors) {
    Json shape = Json::Array();
    shape.Push(tensor.n).Push(tensor.k);
    Json json = Json::Object();
    json.Set("name", tensor.name).Set("type", SchemeLabel(tensor.type));
    json.Set("shape", std::move(shape)).Set("smoothed", tensor.smoothed);
    SetFigures(WeightFigures(tensor), json);
    tensors.Push(std::move(json));
  }
  Json json = Json::Object();
  json.Set("tensors", std::move(tensors));
  return json.Set("unmatched", StringsJson(weights.unmatched));
}

Json ThresholdsJson(const DiffResult& result) {
  Json thresholds = Json::Array();
  for (const ThresholdResult& threshold : result.thresholds) {
    Json json = Json::Object();
    json.Set("flag", threshold.kind->flag).Set("metric", threshold.kind->metric);
    json.Set("value", Json::Real(threshold.value)).Set("limit", Json::Real(threshold.limit));
    thresholds.Push(std::move(json.Set("met", threshold.met)));
  }
  return thresholds;
}

Json PromptsJson(const DiffResult& result) {
  Json prompts = Json::Object();
  prompts.Set("source", result.prompts).Set("window_tokens", result.window_tokens);
  if (result.non_finite) return prompts;
  const LogitSummary& summary = result.summary;
  prompts.Set("windows", summary.windows).Set("positions", summary.positions);
  return prompts.Set("scored_tokens", summary.scored_tokens);
}

Json MetricsJson(const DiffResult& result, std::span<const Metric> metrics) {
  Json figures = Json::Object();
  for (const Metric metric : metrics) {
    if (metric == Metric::kRouting && !result.routing) continue;
    if (metric == Metric::kDeltaP && result.summary.scored_tokens == 0) continue;
    figures.Set(MetricName(metric), MetricJson(result, metric));
  }
  return figures;
}

}  // namespace

Json DiffReportJson(const DiffResult& result, std::span<const Metric> metrics) {
  Json json = Json::Object();
  json.Set("tool", "slim-diff").Set("version", kVersion).Set("passed", result.passed());
  json.Set("first", SubjectJson(result.first)).Set("second", SubjectJson(result.second));
  if (result.run) json.Set("prompts", PromptsJson(result));
  if (result.non_finite) {
    Json found = Json::Object();
    found.Set("model", DiffSideName(result.non_finite->side));
    found.Set("where", result.non_finite->where).Set("detail", result.non_finite->detail);
    return json.Set("non_finite", std::move(found));
  }
  if (result.run) json.Set("metrics", MetricsJson(result, metrics));
  if (!result.worst.empty()) json.Set("worst_tokens", WorstJson(result));
  if (result.layers) json.Set("layers", LayersJson(result));
  if (result.bisect) json.Set("bisect", BisectJson(*result.bisect));
  if (result.weights) json.Set("weights", WeightsJson(*result.weights));
  const std::vector<std::string_view> advice = DiffAdvice(result);
  if (!advice.empty()) {
    Json texts = Json::Array();
    for (const std::string_view text : advice) texts.Push(text);
    json.Set("advice", std::move(texts));
  }
  return json.Set("thresholds", ThresholdsJson(result));
}

}  // namespace slim
