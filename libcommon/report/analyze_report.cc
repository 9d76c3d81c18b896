#include "report/analyze_report.h"

#include <fmt/format.h>

#include "base/version.h"

namespace slim {
namespace {

// As `exclude` of linear_quant and --disable-names take it: of a block, its linears.
std::string PatternOf(const Analysis& analysis, const LayerScore& score) {
  return analysis.metric == AnalysisMetric::kMse ? score.name + ".*" : score.name;
}

}  // namespace

std::string AnalysisText(const Analysis& analysis, uint64_t topk) {
  std::string out =
      fmt::format("{} over {} samples of {}, {} layers\n", AnalysisMetricName(analysis.metric),
                  analysis.samples, analysis.calibration, analysis.scores.size());
  const std::vector<LayerScore> top = TopScores(analysis, topk);
  for (const LayerScore& score : top)
    out += fmt::format("{:>12.6g}  {}\n", score.score, score.name);
  out += "\nexclude:\n";
  for (const LayerScore& score : top) out += fmt::format("  - '{}'\n", PatternOf(analysis, score));
  return out;
}

Json AnalysisJson(const Analysis& analysis, uint64_t topk) {
  Json layers = Json::Array();
  for (const LayerScore& score : analysis.scores) {
    Json item = Json::Object();
    layers.Push(std::move(item.Set("name", score.name).Set("score", Json::Real(score.score))));
  }
  Json exclude = Json::Array();
  for (const LayerScore& score : TopScores(analysis, topk))
    exclude.Push(PatternOf(analysis, score));
  Json json = Json::Object();
  json.Set("tool", "slim-quant").Set("version", kVersion).Set("kind", "analysis");
  json.Set("metric", AnalysisMetricName(analysis.metric)).Set("calibration", analysis.calibration);
  json.Set("samples", analysis.samples).Set("layers", std::move(layers));
  return json.Set("exclude", std::move(exclude));
}

}  // namespace slim
