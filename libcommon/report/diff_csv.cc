#include <fmt/format.h>

#include "base/text.h"
#include "report/diff_figures.h"
#include "report/diff_report.h"

namespace slim {
namespace {

// "limit,met", or "," for a figure without a limit.
std::string CsvLimit(const DiffResult& result, std::string_view metric,
                     std::string_view statistic) {
  for (const ThresholdResult& threshold : result.thresholds) {
    if (threshold.kind->metric == metric && threshold.kind->statistic == statistic)
      return fmt::format("{},{}", threshold.limit, threshold.met);
  }
  return ",";
}

// Module names with a comma or a quote are quoted; such names come from broken files only.
std::string Field(std::string_view text) {
  const std::string escaped = Escape(text);
  if (escaped.find_first_of(",\"") == std::string::npos) return escaped;
  std::string out = "\"";
  for (const char c : escaped) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

void AddNamed(std::string_view metric, std::string_view name,
              const std::vector<DiffFigure>& figures, std::string& out) {
  for (const DiffFigure& figure : figures)
    out += fmt::format("{},{},{},,\n", metric, Field(fmt::format("{} {}", name, figure.statistic)),
                       figure.value);
}

// A limit on the least of many stands in a row of its own.
void AddLeast(const DiffResult& result, std::string_view metric, std::string& out) {
  for (const ThresholdResult& threshold : result.thresholds) {
    if (threshold.kind->metric == metric)
      out += fmt::format("{},{},{},{},{}\n", metric, threshold.kind->statistic, threshold.value,
                         threshold.limit, threshold.met);
  }
}

void AddMetric(const DiffResult& result, Metric metric, std::string& out) {
  for (const DiffFigure& figure : DiffFigures(result, metric)) {
    out += fmt::format("{},{},{},{}\n", MetricName(metric), figure.statistic, figure.value,
                       CsvLimit(result, MetricName(metric), figure.statistic));
  }
  if (metric != Metric::kGreedy) return;
  for (size_t i = 0; i < result.greedy.size(); ++i) {
    const auto& difference = result.greedy[i].first_difference;
    out += fmt::format("greedy,first_difference_{},{},,\n", i + 1,
                       difference ? std::to_string(*difference) : "");
  }
  AddLeast(result, "greedy", out);
}

}  // namespace

std::string DiffReportCsv(const DiffResult& result, std::span<const Metric> metrics) {
  std::string out = "metric,statistic,value,limit,met\n";
  if (result.non_finite) {
    return out + fmt::format("non_finite,{},,,false\n", DiffSideName(result.non_finite->side));
  }
  if (result.run) {
    for (const Metric metric : metrics) AddMetric(result, metric, out);
  }
  if (result.layers) {
    for (const BlockErrors& block : result.layers->blocks)
      AddNamed("layers", block.name, BlockFigures(block), out);
    for (const LinearErrors& linear : result.layers->linears)
      AddNamed("layers", linear.name, LinearFigures(linear), out);
    AddLeast(result, "layers", out);
  }
  if (result.bisect) {
    out += fmt::format("bisect,kl,{},,\n", result.bisect->kl);
    for (const KeptGroup& kept : result.bisect->kept)
      out += fmt::format("bisect,{},{},,\n", Field(Join(kept.group.selectors, " ")), kept.kl);
  }
  if (result.weights) {
    for (const WeightErrors& weight : result.weights->tensors)
      AddNamed("weights", weight.name, WeightFigures(weight), out);
    AddLeast(result, "weights", out);
  }
  return out;
}

}  // namespace slim
