#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "report/diff_figures.h"
#include "report/diff_report.h"

namespace slim {
namespace {

constexpr size_t kLabelWidth = 17;
// Rows of a table of the worst; JSON and CSV have them all.
constexpr size_t kWorstRows = 10;

std::string Line(std::string_view label, std::string_view text) {
  return fmt::format("{:<{}}  {}\n", label, kLabelWidth, text);
}

// "0.0123457 ± 0.00045"
std::string WithError(double value, double error) {
  return fmt::format("{:.6g} ± {:.2g}", value, error);
}
std::string WithError(const Estimate& estimate) {
  return WithError(estimate.mean, estimate.standard_error);
}
std::string WithError(const QuantileEstimate& quantile) {
  return WithError(quantile.value, quantile.standard_error);
}

std::string SubjectText(const DiffSubject& subject) {
  return fmt::format("{} ({}{}{})", Escape(subject.path), subject.dialect,
                     subject.types.empty() ? "" : ", ", Join(subject.types, ", "));
}

std::string GreedyTextLine(const GreedyText& text, size_t number) {
  if (!text.first_difference) {
    return fmt::format("prompt {}: {} new tokens, all the same", number, text.first_tokens);
  }
  return fmt::format("prompt {}: differs from new token {} of {} on", number,
                     *text.first_difference, std::max(text.first_tokens, text.second_tokens));
}

std::string KlText(const LogitSummary& summary) {
  return Line("KL divergence", fmt::format("mean {}, median {}", WithError(summary.kl),
                                           WithError(summary.kl_median))) +
         Line("", fmt::format("p95 {}, p99 {}, max {} (window {}, position {})",
                              WithError(summary.kl_p95), WithError(summary.kl_p99),
                              SixDigits(summary.kl_max), summary.kl_max_place.window,
                              summary.kl_max_place.position));
}

std::string DeltaPText(const DeltaP& delta) {
  const auto& q = delta.quantiles;
  return Line("Δp of next token",
              fmt::format("mean {}, RMS {}", WithError(delta.mean), WithError(delta.rms))) +
         Line("", fmt::format("min {:.3g}, p1 {:.3g}, p5 {:.3g}, p25 {:.3g}, median {:.3g}, "
                              "p75 {:.3g}, p95 {:.3g}, p99 {:.3g}, max {:.3g}",
                              q[0], q[1], q[2], q[3], q[4], q[5], q[6], q[7], q[8]));
}

std::string MetricText(const DiffResult& result, Metric metric) {
  const LogitSummary& summary = result.summary;
  switch (metric) {
    case Metric::kKl:
      return KlText(summary);
    case Metric::kDeltaP:
      return summary.scored_tokens == 0 ? "" : DeltaPText(summary.delta_p);
    case Metric::kTop1:
      return Line("top-1 agreement",
                  fmt::format("{}, {} of {} first choices differ", WithError(summary.top1),
                              summary.flips, summary.positions));
    case Metric::kTop5:
      return Line("top-5 agreement", WithError(summary.top5));
    case Metric::kCosine:
      return Line("cosine of logits", fmt::format("mean {}, min {}", WithError(summary.cosine),
                                                  SixDigits(summary.cosine_min)));
    case Metric::kRmse:
      return Line("RMSE of logits", WithError(summary.rmse));
    case Metric::kPerplexity:
      return Line(
          "perplexity",
          fmt::format("first {}, second {}, ratio {}", WithError(summary.first_perplexity),
                      WithError(summary.second_perplexity), WithError(summary.perplexity_ratio)));
    case Metric::kRouting: {
      if (!result.routing) return "";
      const RoutingSummary& routing = *result.routing;
      return Line(
          "expert agreement",
          fmt::format("{} of a token's experts, {} of {} choices the same, least {} in "
                      "block {}",
                      SixDigits(routing.agreement), SixDigits(routing.same_sets), routing.choices,
                      SixDigits(routing.worst_agreement), routing.worst_layer));
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

std::string Decibels(double value) { return fmt::format("{:.1f}", value); }

// "name  local dB …" rows under a head; names to the left, figures to the right.
std::string Table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows[0].size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    out += fmt::format("  {:<{}}", row[0], widths[0]);
    for (size_t i = 1; i < row.size(); ++i) out += fmt::format("  {:>{}}", row[i], widths[i]);
    out.erase(out.find_last_not_of(' ') + 1);
    out += '\n';
  }
  return out;
}

std::vector<std::string> LinearRow(const LinearErrors& linear) {
  return {Escape(linear.name),
          std::string(SchemeLabel(linear.type)),
          Decibels(linear.local.sqnr_db),
          Decibels(linear.accumulated.sqnr_db),
          fmt::format("{:.6f}", linear.input_cosine),
          fmt::format("{:.4g}", linear.local.max_abs)};
}

// Routers and lm_head: mostly in float, and the place where errors become other choices.
std::string ChoosersText(const LayerErrors& layers, const std::vector<std::string>& head) {
  std::vector<std::vector<std::string>> rows = {head};
  for (const LinearErrors& linear : layers.linears) {
    if (linear.chooses) rows.push_back(LinearRow(linear));
  }
  if (rows.size() == 1) return "";
  return fmt::format("\n{}lm_head\n", rows.size() > 2 ? "routers and " : "") + Table(rows);
}

std::string LayersText(const DiffResult& result) {
  const LayerErrors& layers = *result.layers;
  std::vector<std::vector<std::string>> rows = {
      {"block", "local dB", "accumulated dB", "cosine", "max error"}};
  for (const BlockErrors& block : layers.blocks) {
    rows.push_back({Escape(block.name), Decibels(block.local.sqnr_db),
                    Decibels(block.accumulated.sqnr_db),
                    fmt::format("{:.6f}", block.accumulated.cosine),
                    fmt::format("{:.4g}", block.accumulated.max_abs)});
  }
  std::string out = "\nblocks, signal to noise of their output\n" + Table(rows);
  const std::vector<size_t> ranking = layers.Ranking();
  const std::vector<std::string> head = {"linear",         "type",         "local dB",
                                         "accumulated dB", "input cosine", "max error"};
  if (ranking.empty()) return out + ChoosersText(layers, head);
  rows = {head};
  for (size_t i = 0; i < std::min(ranking.size(), kWorstRows); ++i) {
    rows.push_back(LinearRow(layers.linears[ranking[i]]));
  }
  out += fmt::format("\nlinears by their own error, the worst {} of {} quantized ones\n",
                     rows.size() - 1, ranking.size());
  return out + Table(rows) + ChoosersText(layers, head);
}

std::string BisectText(const BisectResult& bisect) {
  std::string out = fmt::format("\nkept in float, on {} positions: KL divergence {} as it is\n",
                                bisect.positions, SixDigits(bisect.kl));
  for (const KeptGroup& kept : bisect.kept) {
    out += fmt::format(
        "  keep {} in float and KL {} from {} to {}\n", Escape(Join(kept.group.selectors, ", ")),
        kept.kl < bisect.kl ? "falls" : "goes", SixDigits(bisect.kl), SixDigits(kept.kl));
  }
  for (size_t i = 1; i < bisect.together.size(); ++i)
    out += fmt::format("  the first {} together: {}\n", i + 1, SixDigits(bisect.together[i]));
  if (bisect.advised == 0) return out + "  none of them helps\n";
  return out + fmt::format("for slim-quant, KL {} then:\n  {}\n",
                           SixDigits(bisect.together[bisect.advised - 1]),
                           DisableNamesLine(bisect));
}

std::string WeightsText(const WeightReport& weights) {
  std::vector<const WeightErrors*> order;
  for (const WeightErrors& tensor : weights.tensors) order.push_back(&tensor);
  std::stable_sort(order.begin(), order.end(), [](const WeightErrors* a, const WeightErrors* b) {
    return a->errors.sqnr_db < b->errors.sqnr_db;
  });
  std::vector<std::vector<std::string>> rows = {
      {"weight", "type", "SQNR dB", "cosine", "max error", "saturated", "zeros", ""}};
  const auto percent = [](const std::optional<double>& share) {
    return share ? fmt::format("{:.3f}%", *share * 100) : std::string("-");
  };
  for (size_t i = 0; i < std::min(order.size(), kWorstRows); ++i) {
    const WeightErrors& tensor = *order[i];
    rows.push_back({Escape(tensor.name), std::string(SchemeLabel(tensor.type)),
                    Decibels(tensor.errors.sqnr_db), fmt::format("{:.6f}", tensor.errors.cosine),
                    fmt::format("{:.4g}", tensor.errors.max_abs), percent(tensor.saturated),
                    percent(tensor.zeros), tensor.smoothed ? "smoothed" : ""});
  }
  std::string out =
      fmt::format("\nquantized weights, the worst {} of {}\n", rows.size() - 1, order.size()) +
      Table(rows);
  if (!weights.unmatched.empty())
    out += fmt::format("  {} quantized layers are not in the first, as {}\n",
                       weights.unmatched.size(), Quote(weights.unmatched.front()));
  return out;
}

std::string RunText(const DiffResult& result, std::span<const Metric> metrics) {
  const LogitSummary& summary = result.summary;
  std::string out =
      Line("prompts",
           fmt::format("{}: {} window{} of at most {} tokens, {} positions", Escape(result.prompts),
                       summary.windows, summary.windows == 1 ? "" : "s", result.window_tokens,
                       summary.positions));
  for (const Metric metric : metrics) out += MetricText(result, metric);
  return out;
}

}  // namespace

std::string DiffReportText(const DiffResult& result, std::span<const Metric> metrics) {
  std::string out = Line("first", SubjectText(result.first));
  out += Line("second", SubjectText(result.second));
  if (result.non_finite) {
    out += Line("prompts", Escape(result.prompts));
    return out + Line("not finite", NonFiniteText(result));
  }
  if (result.run) out += RunText(result, metrics);
  for (const ThresholdResult& threshold : result.thresholds) {
    out += Line(threshold.met ? "met" : "not met",
                fmt::format("--{}: {}", threshold.kind->flag, ThresholdText(threshold)));
  }
  std::string_view label = "try, slim-quant";
  for (const std::string_view advice : DiffAdvice(result)) {
    out += Line(label, advice);
    label = "";
  }
  if (result.layers) out += LayersText(result);
  if (result.bisect) out += BisectText(*result.bisect);
  if (result.weights) out += WeightsText(*result.weights);
  return out;
}

}  // namespace slim
