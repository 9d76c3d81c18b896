#include "report/diff_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/text.h"
#include "base/version.h"

namespace slim {
namespace {

constexpr size_t kLabelWidth = 17;

std::string_view SideName(Side side) { return side == Side::kFirst ? "first" : "second"; }
const DiffSubject& SubjectOf(const DiffResult& result, Side side) {
  return side == Side::kFirst ? result.first : result.second;
}

std::string Line(std::string_view label, std::string_view text) {
  return fmt::format("{:<{}}  {}\n", label, kLabelWidth, text);
}

std::string Number(double value) { return fmt::format("{:.6g}", value); }

// "0.0123457 ± 0.00045"
std::string WithError(const Estimate& estimate) {
  return fmt::format("{:.6g} ± {:.2g}", estimate.mean, estimate.standard_error);
}

std::string SubjectText(const DiffSubject& subject) {
  return fmt::format("{} ({}, {})", Escape(subject.path), subject.dialect,
                     Join(subject.types, ", "));
}

std::string GreedyTextLine(const GreedyText& text, size_t number) {
  if (!text.first_difference) {
    return fmt::format("prompt {}: {} new tokens, all the same", number, text.first_tokens);
  }
  return fmt::format("prompt {}: differs from new token {} of {} on", number,
                     *text.first_difference, std::max(text.first_tokens, text.second_tokens));
}

std::string MetricText(const DiffResult& result, Metric metric) {
  const LogitSummary& summary = result.summary;
  switch (metric) {
    case Metric::kKl:
      return Line(
          "KL divergence",
          fmt::format("mean {}, median {}, p99 {}, max {} (window {}, position {})",
                      WithError(summary.kl), Number(summary.kl_median), Number(summary.kl_p99),
                      Number(summary.kl_max), summary.kl_max_window, summary.kl_max_position));
    case Metric::kTop1:
      return Line("top-1 agreement",
                  fmt::format("{}, {} of {} first choices differ", WithError(summary.top1),
                              summary.flips, summary.positions));
    case Metric::kTop5:
      return Line("top-5 agreement", WithError(summary.top5));
    case Metric::kCosine:
      return Line("cosine of logits", fmt::format("mean {}, min {}", WithError(summary.cosine),
                                                  Number(summary.cosine_min)));
    case Metric::kRmse:
      return Line("RMSE of logits", Number(summary.rmse));
    case Metric::kPerplexity:
      return Line(
          "perplexity",
          fmt::format("first {}, second {}, ratio {}", Number(summary.first_perplexity),
                      Number(summary.second_perplexity), WithError(summary.perplexity_ratio)));
    case Metric::kRouting: {
      if (!result.routing) return "";
      const RoutingSummary& routing = *result.routing;
      return Line("expert agreement",
                  fmt::format("{} of a token's experts, {} of {} choices the same, least {} in "
                              "block {}",
                              Number(routing.agreement), Number(routing.same_sets), routing.choices,
                              Number(routing.worst_agreement), routing.worst_layer));
    }
    case Metric::kGreedy: {
      std::string out;
      for (size_t i = 0; i < result.greedy.size(); ++i)
        out += Line(i == 0 ? "greedy text" : "", GreedyTextLine(result.greedy[i], i + 1));
      return out;
    }
  }
  return "";
}

std::string NonFiniteText(const DiffResult& result) {
  const NonFinite& found = *result.non_finite;
  return fmt::format("{} ({}), {}: {}", SideName(found.side),
                     Escape(SubjectOf(result, found.side).path), found.where, found.detail);
}

std::string ThresholdText(const ThresholdResult& threshold) {
  const bool maximum = threshold.kind->is_maximum;
  // A value that is no number is neither above nor below.
  std::string_view sign = "against";
  if (threshold.met) {
    sign = maximum ? "<=" : ">=";
  } else if (!std::isnan(threshold.value)) {
    sign = maximum ? ">" : "<";
  }
  return fmt::format("{} {} {} {}", threshold.kind->name, Number(threshold.value), sign,
                     Number(threshold.limit));
}

Json SubjectJson(const DiffSubject& subject) {
  Json json = Json::Object();
  json.Set("path", subject.path).Set("dialect", subject.dialect);
  Json types = Json::Array();
  for (const std::string& type : subject.types) types.Push(type);
  json.Set("types", std::move(types));
  return json;
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

struct Figure {
  std::string_view statistic;
  double value;
};

// The figures of a metric by the names of JSON and CSV; none of kGreedy, nor of kRouting without
// experts.
std::vector<Figure> Figures(const DiffResult& result, Metric metric) {
  const LogitSummary& summary = result.summary;
  switch (metric) {
    case Metric::kKl:
      return {{"mean", summary.kl.mean},
              {"standard_error", summary.kl.standard_error},
              {"median", summary.kl_median},
              {"p99", summary.kl_p99},
              {"max", summary.kl_max}};
    case Metric::kTop1:
      return {{"agreement", summary.top1.mean}, {"standard_error", summary.top1.standard_error}};
    case Metric::kTop5:
      return {{"agreement", summary.top5.mean}, {"standard_error", summary.top5.standard_error}};
    case Metric::kCosine:
      return {{"mean", summary.cosine.mean},
              {"standard_error", summary.cosine.standard_error},
              {"min", summary.cosine_min}};
    case Metric::kRmse:
      return {{"rmse", summary.rmse}};
    case Metric::kPerplexity:
      return {{"first", summary.first_perplexity},
              {"second", summary.second_perplexity},
              {"ratio", summary.perplexity_ratio.mean},
              {"ratio_standard_error", summary.perplexity_ratio.standard_error}};
    case Metric::kRouting:
      if (!result.routing) return {};
      return {{"agreement", result.routing->agreement},
              {"same_sets", result.routing->same_sets},
              {"worst_agreement", result.routing->worst_agreement}};
    case Metric::kGreedy:
      return {};
  }
  return {};
}

Json MetricJson(const DiffResult& result, Metric metric) {
  const LogitSummary& summary = result.summary;
  if (metric == Metric::kGreedy) return GreedyJson(result);
  if (metric == Metric::kRmse) return Json::Real(summary.rmse);
  Json json = Json::Object();
  for (const Figure& figure : Figures(result, metric))
    json.Set(figure.statistic, Json::Real(figure.value));
  if (metric == Metric::kKl) {
    json.Set("max_window", summary.kl_max_window).Set("max_position", summary.kl_max_position);
  }
  if (metric == Metric::kTop1) json.Set("flips", summary.flips);
  if (metric == Metric::kRouting) {
    json.Set("choices", result.routing->choices).Set("worst_layer", result.routing->worst_layer);
  }
  return json;
}

Json ThresholdsJson(const DiffResult& result) {
  Json thresholds = Json::Array();
  for (const ThresholdResult& threshold : result.thresholds) {
    Json json = Json::Object();
    json.Set("flag", threshold.kind->flag).Set("metric", MetricName(threshold.kind->metric));
    json.Set("value", Json::Real(threshold.value)).Set("limit", Json::Real(threshold.limit));
    thresholds.Push(std::move(json.Set("met", threshold.met)));
  }
  return thresholds;
}

// The figure of its metric that a limit is about.
std::string_view LimitedStatistic(Metric metric) {
  if (metric == Metric::kPerplexity) return "ratio";
  return metric == Metric::kTop1 ? "agreement" : "mean";
}

// "limit,met", or "," for a figure without a limit.
std::string CsvLimit(const DiffResult& result, Metric metric, std::string_view statistic) {
  for (const ThresholdResult& threshold : result.thresholds) {
    if (threshold.kind->metric == metric && statistic == LimitedStatistic(metric))
      return fmt::format("{},{}", threshold.limit, threshold.met);
  }
  return ",";
}

}  // namespace

std::string DiffVerdict(const DiffResult& result) {
  if (result.non_finite) return "not finite: " + NonFiniteText(result);
  if (result.thresholds.empty()) return "no limit given";
  std::vector<std::string> failed;
  for (const ThresholdResult& threshold : result.thresholds) {
    if (!threshold.met) failed.push_back(ThresholdText(threshold));
  }
  if (failed.empty()) return "every limit is met";
  return "limit not met: " + Join(failed, ", ");
}

std::string DiffReportText(const DiffResult& result, std::span<const Metric> metrics) {
  std::string out = Line("first", SubjectText(result.first));
  out += Line("second", SubjectText(result.second));
  if (result.non_finite) {
    out += Line("prompts", Escape(result.prompts));
    return out + Line("not finite", NonFiniteText(result));
  }
  const LogitSummary& summary = result.summary;
  out += Line("prompts",
              fmt::format("{}: {} window{} of at most {} tokens, {} positions",
                          Escape(result.prompts), summary.windows, summary.windows == 1 ? "" : "s",
                          result.window_tokens, summary.positions));
  for (const Metric metric : metrics) out += MetricText(result, metric);
  for (const ThresholdResult& threshold : result.thresholds) {
    out += Line(threshold.met ? "met" : "not met",
                fmt::format("--{}: {}", threshold.kind->flag, ThresholdText(threshold)));
  }
  return out;
}

Json DiffReportJson(const DiffResult& result, std::span<const Metric> metrics) {
  Json json = Json::Object();
  json.Set("tool", "slim-diff").Set("version", kVersion).Set("passed", result.passed());
  json.Set("first", SubjectJson(result.first)).Set("second", SubjectJson(result.second));
  Json prompts = Json::Object();
  prompts.Set("source", result.prompts).Set("window_tokens", result.window_tokens);
  if (result.non_finite) {
    Json found = Json::Object();
    found.Set("model", SideName(result.non_finite->side)).Set("where", result.non_finite->where);
    found.Set("detail", result.non_finite->detail);
    json.Set("prompts", std::move(prompts));
    return json.Set("non_finite", std::move(found));
  }
  const LogitSummary& summary = result.summary;
  prompts.Set("windows", summary.windows).Set("positions", summary.positions);
  json.Set("prompts", std::move(prompts.Set("scored_tokens", summary.scored_tokens)));
  Json figures = Json::Object();
  for (const Metric metric : metrics) {
    if (metric == Metric::kRouting && !result.routing) continue;
    figures.Set(MetricName(metric), MetricJson(result, metric));
  }
  json.Set("metrics", std::move(figures));
  return json.Set("thresholds", ThresholdsJson(result));
}

std::string DiffReportCsv(const DiffResult& result, std::span<const Metric> metrics) {
  std::string out = "metric,statistic,value,limit,met\n";
  if (result.non_finite) {
    return out + fmt::format("non_finite,{},,,false\n", SideName(result.non_finite->side));
  }
  for (const Metric metric : metrics) {
    for (const Figure& figure : Figures(result, metric)) {
      out += fmt::format("{},{},{},{}\n", MetricName(metric), figure.statistic, figure.value,
                         CsvLimit(result, metric, figure.statistic));
    }
    if (metric != Metric::kGreedy) continue;
    for (size_t i = 0; i < result.greedy.size(); ++i) {
      const auto& difference = result.greedy[i].first_difference;
      out += fmt::format("greedy,first_difference_{},{},,\n", i + 1,
                         difference ? std::to_string(*difference) : "");
    }
  }
  return out;
}

}  // namespace slim
