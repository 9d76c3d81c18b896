#include "report/diff_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "quant/advice.h"
#include "report/diff_report.h"

namespace slim {
namespace {

void AddEstimate(std::string name, const Estimate& estimate, std::vector<DiffFigure>& figures) {
  figures.push_back({name, estimate.mean});
  figures.push_back({name == "mean" || name == "agreement" || name == "rmse"
                         ? std::string("standard_error")
                         : name + "_standard_error",
                     estimate.standard_error});
}

void AddQuantile(const std::string& name, const QuantileEstimate& quantile,
                 std::vector<DiffFigure>& figures) {
  figures.push_back({name, quantile.value});
  figures.push_back({name + "_standard_error", quantile.standard_error});
}

std::vector<DiffFigure> DeltaPFigures(const DeltaP& delta) {
  constexpr std::string_view kNames[] = {"min", "p1",  "p5",  "p25", "median",
                                         "p75", "p95", "p99", "max"};
  static_assert(std::size(kNames) == std::size(kDeltaPShares));
  std::vector<DiffFigure> figures;
  AddEstimate("mean", delta.mean, figures);
  figures.push_back({"rms", delta.rms.mean});
  figures.push_back({"rms_standard_error", delta.rms.standard_error});
  for (size_t i = 0; i < std::size(kNames); ++i)
    figures.push_back({std::string(kNames[i]), delta.quantiles[i]});
  return figures;
}

void AddErrors(std::string_view prefix, const ErrorFigures& errors,
               std::vector<DiffFigure>& figures) {
  figures.push_back({fmt::format("{}sqnr_db", prefix), errors.sqnr_db});
  figures.push_back({fmt::format("{}cosine", prefix), errors.cosine});
  figures.push_back({fmt::format("{}max_abs", prefix), errors.max_abs});
}

}  // namespace

std::vector<DiffFigure> DiffFigures(const DiffResult& result, Metric metric) {
  const LogitSummary& summary = result.summary;
  std::vector<DiffFigure> figures;
  switch (metric) {
    case Metric::kKl:
      AddEstimate("mean", summary.kl, figures);
      AddQuantile("median", summary.kl_median, figures);
      AddQuantile("p95", summary.kl_p95, figures);
      AddQuantile("p99", summary.kl_p99, figures);
      figures.push_back({"max", summary.kl_max});
      break;
    case Metric::kDeltaP:
      return DeltaPFigures(summary.delta_p);
    case Metric::kTop1:
      AddEstimate("agreement", summary.top1, figures);
      break;
    case Metric::kTop5:
      AddEstimate("agreement", summary.top5, figures);
      break;
    case Metric::kCosine:
      AddEstimate("mean", summary.cosine, figures);
      figures.push_back({"min", summary.cosine_min});
      break;
    case Metric::kRmse:
      AddEstimate("rmse", summary.rmse, figures);
      break;
    case Metric::kPerplexity:
      AddEstimate("first", summary.first_perplexity, figures);
      AddEstimate("second", summary.second_perplexity, figures);
      AddEstimate("ratio", summary.perplexity_ratio, figures);
      break;
    case Metric::kRouting:
      if (!result.routing) break;
      return {{"agreement", result.routing->agreement},
              {"same_sets", result.routing->same_sets},
              {"worst_agreement", result.routing->worst_agreement}};
    case Metric::kGreedy:
      break;
  }
  return figures;
}

std::vector<DiffFigure> LinearFigures(const LinearErrors& linear) {
  std::vector<DiffFigure> figures;
  AddErrors("local_", linear.local, figures);
  AddErrors("accumulated_", linear.accumulated, figures);
  figures.push_back({"input_cosine", linear.input_cosine});
  return figures;
}

std::vector<DiffFigure> BlockFigures(const BlockErrors& block) {
  std::vector<DiffFigure> figures;
  AddErrors("local_", block.local, figures);
  AddErrors("accumulated_", block.accumulated, figures);
  return figures;
}

std::vector<DiffFigure> WeightFigures(const WeightErrors& weight) {
  std::vector<DiffFigure> figures;
  AddErrors("", weight.errors, figures);
  if (weight.saturated) figures.push_back({"saturated", *weight.saturated});
  if (weight.zeros) figures.push_back({"zeros", *weight.zeros});
  return figures;
}

std::string_view DiffSideName(Side side) { return side == Side::kFirst ? "first" : "second"; }

std::string NonFiniteText(const DiffResult& result) {
  const NonFinite& found = *result.non_finite;
  const DiffSubject& subject = found.side == Side::kFirst ? result.first : result.second;
  return fmt::format("{} ({}), {}: {}", DiffSideName(found.side), Escape(subject.path), found.where,
                     found.detail);
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
  return fmt::format("{} {} {} {}", threshold.kind->name, SixDigits(threshold.value), sign,
                     SixDigits(threshold.limit));
}

std::string SixDigits(double value) { return fmt::format("{:.6g}", value); }

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

std::vector<std::string_view> DiffAdvice(const DiffResult& result) {
  const auto quantized = [](const std::string& label) {
    const auto scheme = ParseSchemeLabel(label);
    return scheme && *scheme != Scheme::kFloat;
  };
  const std::vector<std::string>& types = result.second.types;
  if (result.passed() || result.non_finite || std::none_of(types.begin(), types.end(), quantized))
    return {};
  return AdviceFor(AdviceTopic::kAccuracy, SituationOf(types));
}

std::string DisableNamesLine(const BisectResult& bisect) {
  std::vector<std::string> words;
  for (const std::string& name : bisect.DisableNames())
    words.push_back(name.find('*') == std::string::npos ? name : "'" + name + "'");
  return words.empty() ? "" : "--disable-names " + Join(words, " ");
}

}  // namespace slim
