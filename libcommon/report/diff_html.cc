#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "base/text.h"
#include "report/diff_figures.h"
#include "report/diff_report.h"
#include "report/html_page.h"
#include "report/markup.h"
#include "report/svg_charts.h"

namespace slim {
namespace {

constexpr std::string_view kPageStyle = R"(
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .75rem; margin: 1rem 0 0; }
.card { background: var(--soft); border-radius: .4rem; padding: .6rem .8rem; }
.card b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.card span { color: var(--dim); font-size: .8rem; }
.bars rect { fill: var(--note); } .bars .median { stroke: var(--error); stroke-dasharray: 3 3; }
.wide svg { width: 100%; } .wide { max-width: 46rem; } .line { max-width: 30rem; }
.words td { vertical-align: top; } .words td.text { max-width: 34rem; overflow-wrap: anywhere; }
.words mark { background: none; color: var(--error); font-weight: 600; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { background: var(--soft); border-radius: .4rem; padding: .7rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
.legend { margin-top: 1rem; })";

std::string Card(std::string_view name, double value, double error) {
  return fmt::format(
      "<div class=\"card\"><span>{}</span><b>{:.4g}</b><span>± {:.2g}</span></div>\n", name, value,
      error);
}

std::string Cards(const LogitSummary& summary) {
  std::string out = "<div class=\"cards\">\n";
  out += Card("KL divergence, mean (nats)", summary.kl.mean, summary.kl.standard_error);
  out += Card("KL divergence, p99", summary.kl_p99.value, summary.kl_p99.standard_error);
  out += Card("same first choice", summary.top1.mean, summary.top1.standard_error);
  out += Card("first choice in five", summary.top5.mean, summary.top5.standard_error);
  out += Card("perplexity, first", summary.first_perplexity.mean,
              summary.first_perplexity.standard_error);
  out += Card("perplexity, second", summary.second_perplexity.mean,
              summary.second_perplexity.standard_error);
  out += Card("perplexity ratio", summary.perplexity_ratio.mean,
              summary.perplexity_ratio.standard_error);
  out += Card("Δp of the next token, RMS", summary.delta_p.rms.mean,
              summary.delta_p.rms.standard_error);
  return out + "</div>\n";
}

std::string Summary(const DiffResult& result) {
  std::string out = fmt::format(
      "<section><h2>{}</h2>\n<p class=\"facts\">{}</p>\n<p class=\"facts\">against {} ({})</p>\n",
      EscapeMarkup(result.second.path),
      EscapeMarkup(result.second.dialect + ", " + Join(result.second.types, ", ")),
      EscapeMarkup(result.first.path), EscapeMarkup(result.first.dialect));
  const bool judged = result.non_finite || !result.thresholds.empty();
  if (judged) {
    out += fmt::format("<p class=\"verdict {}\">{}</p>\n", result.passed() ? "ok" : "error",
                       EscapeMarkup(DiffVerdict(result)));
  }
  if (result.run && !result.non_finite) {
    const LogitSummary& summary = result.summary;
    out += fmt::format(
        "<p class=\"facts\">{} windows of at most {} tokens, {} positions of {}</p>\n",
        summary.windows, result.window_tokens, summary.positions, EscapeMarkup(result.prompts));
    out += Cards(summary);
  }
  if (!result.thresholds.empty()) {
    out += "<ul>\n";
    for (const ThresholdResult& threshold : result.thresholds)
      out += fmt::format("<li class=\"{}\">{}: --{}: {}</li>\n", threshold.met ? "ok" : "error",
                         threshold.met ? "met" : "not met", threshold.kind->flag,
                         EscapeMarkup(ThresholdText(threshold)));
    out += "</ul>\n";
  }
  const std::vector<std::string_view> advice = DiffAdvice(result);
  if (!advice.empty()) out += "<p class=\"why\">What slim-quant can do about it:</p><ul>\n";
  for (const std::string_view text : advice)
    out += fmt::format("<li>{}</li>\n", EscapeMarkup(text));
  if (!advice.empty()) out += "</ul>\n";
  return out + "</section>\n";
}

// Positions by the decimal logarithm of their divergence, four bars a decade.
std::string Histogram(const DiffResult& result) {
  constexpr double kLowest = 1e-9;  // everything below stands in the first bar
  constexpr int kBarsADecade = 4;
  constexpr double kWidth = 720, kHeight = 220, kLeft = 46, kBottom = 24, kTop = 10, kRight = 24;
  std::map<int, uint64_t> bars;
  for (const double kl : result.divergences) {
    const double at = std::log10(std::clamp(kl, kLowest, 1e6)) * kBarsADecade;
    ++bars[static_cast<int>(std::floor(at))];
  }
  if (bars.empty()) return "";
  // Whole decades, so that the ticks stand at both ends.
  const auto decade = [](int bar) {
    return static_cast<int>(std::floor(bar / double{kBarsADecade}));
  };
  const int first = decade(bars.begin()->first) * kBarsADecade;
  const int last = (decade(bars.rbegin()->first) + 1) * kBarsADecade;
  uint64_t most = 0;
  for (const auto& [bar, count] : bars) most = std::max(most, count);
  const double step = (kWidth - kLeft - kRight) / (last - first);
  const auto x = [&](double bar) { return kLeft + (bar - first) * step; };
  const double height = kHeight - kTop - kBottom;
  std::string out =
      fmt::format("<div class=\"wide\"><svg viewBox=\"0 0 {} {}\" role=\"img\" class=\"bars\">\n",
                  kWidth, kHeight);
  for (const double share : {0.5, 1.0}) {
    const double y = kTop + height * (1 - share);
    out += fmt::format(
        "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.0f}</text>\n",
        kLeft, kWidth - kRight, y, kLeft - 6, y + 4, share * static_cast<double>(most));
  }
  for (const auto& [bar, count] : bars) {
    const double size = height * static_cast<double>(count) / static_cast<double>(most);
    out += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"><title>{:.2g} to "
        "{:.2g} "
        "nats: {} positions</title></rect>\n",
        x(bar) + 0.5, kTop + height - size, step - 1, size,
        std::pow(10.0, bar / double{kBarsADecade}),
        std::pow(10.0, (bar + 1) / double{kBarsADecade}), count);
  }
  for (int bar = first; bar <= last; bar += kBarsADecade)
    out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.0e}</text>\n", x(bar),
                       kHeight - 8, std::pow(10.0, bar / kBarsADecade));
  const double median = result.summary.kl_median.value;
  if (median > kLowest) {
    const double at = x(std::log10(median) * kBarsADecade);
    out += fmt::format(
        "<line class=\"median\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\">"
        "<title>median {3:.3g}</title></line>\n",
        at, kTop, kTop + height, median);
  }
  return "<section><h2>KL divergence of the positions</h2>\n<p class=\"why\">Nats, on a "
         "logarithmic "
         "axis; the dashed line is the median.</p>\n" +
         out + "</svg></div></section>\n";
}

// √(noise / signal) of a signal-to-noise ratio in decibels.
std::optional<double> RelativeError(const ErrorFigures& errors) {
  if (!std::isfinite(errors.sqnr_db)) return {};
  return std::pow(10.0, -errors.sqnr_db / 20);
}

std::string LayerCurve(const LayerErrors& layers) {
  ChartSeries local{"its own", "after", {}};
  ChartSeries accumulated{"accumulated", "before", {}};
  for (const BlockErrors& block : layers.blocks) {
    local.values.push_back(RelativeError(block.local));
    accumulated.values.push_back(RelativeError(block.accumulated));
  }
  const std::string chart =
      LogLineChart("relative error of a block's output, by block", {accumulated, local});
  if (chart.empty()) return "<section><h2>Layers</h2>\n<p>No block differs.</p></section>\n";
  return "<section><h2>Layers</h2>\n<p class=\"legend\"><span class=\"before\"><i></i>accumulated: "
         "after all blocks before</span><span class=\"after\"><i></i>its own: from the input that "
         "the first model has</span></p>\n<div class=\"line\">" +
         chart + "</div></section>\n";
}

// "model.layers.12.mlp.experts.3.up_proj" -> 12, "mlp.experts.*.up_proj".
struct BlockAndLeaf {
  uint64_t block = 0;
  std::string leaf;
};
std::optional<BlockAndLeaf> SplitBlock(std::string_view name) {
  const std::vector<std::string> words = Split(name, '.');
  const auto is_number = [](const std::string& word) {
    return !word.empty() && word.size() <= 5 &&
           std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  for (size_t i = 0; i < words.size(); ++i) {
    if (!is_number(words[i])) continue;
    std::vector<std::string> rest(words.begin() + static_cast<ptrdiff_t>(i) + 1, words.end());
    for (std::string& word : rest) {
      if (is_number(word)) word = "*";
    }
    return BlockAndLeaf{std::stoull(words[i]), Join(rest, ".")};
  }
  return {};
}

// Signal to noise of like linears side by side; of experts the worst.
class HeatTable {
 public:
  void Add(std::string_view name, double value) {
    const auto place = SplitBlock(name);
    if (!place || place->block > 4096) return;
    auto row = std::find_if(rows_.begin(), rows_.end(),
                            [&](const HeatRow& one) { return one.name == place->leaf; });
    if (row == rows_.end()) row = rows_.insert(rows_.end(), {place->leaf, {}});
    if (row->cells.size() <= place->block) row->cells.resize(place->block + 1, {{}, "float"});
    HeatCell& cell = row->cells[place->block];
    cell = {cell.value ? std::min(*cell.value, value) : value, ""};
    if (std::isfinite(value)) {
      low_ = any_ ? std::min(low_, value) : value;
      high_ = any_ ? std::max(high_, value) : value;
      any_ = true;
    }
  }

  std::string Html(std::string_view title, std::string_view why) const {
    if (!any_) return "";
    size_t blocks = 0;
    for (const HeatRow& row : rows_) blocks = std::max(blocks, row.cells.size());
    std::vector<HeatRow> rows = rows_;
    for (HeatRow& row : rows) row.cells.resize(blocks, {{}, "float"});
    // A narrow range is not stretched to look dramatic.
    const double pale = std::max(high_, low_ + 6);
    return fmt::format(
        "<section><h2>{}</h2>\n<p class=\"why\">{}</p>\n<p class=\"legend\"><span>"
        "<b style=\"opacity: .15\"></b>{:.1f} dB</span><span><b></b>{:.1f} dB, the "
        "worst</span></p>\n"
        "{}</section>\n",
        title, why, pale, low_, HeatMap(rows, pale, low_, " dB"));
  }

 private:
  std::vector<HeatRow> rows_;
  double low_ = 0;
  double high_ = 0;
  bool any_ = false;
};

std::string Share(double p) { return fmt::format("{:.1f}%", p * 100); }

std::string Worst(const DiffResult& result) {
  if (result.worst.empty() || result.worst.front().at.metrics.kl == 0) return "";
  std::string out =
      "<section><h2>Where they disagree most</h2>\n<p class=\"why\">What each puts first after the "
      "text, with its probability; red is what the text goes on with.</p>\n<div class=\"scroll\">"
      "<table class=\"words\"><thead><tr><th>KL</th><th>text</th><th>first</th><th>second</th>"
      "<th>place</th></tr></thead><tbody>\n";
  for (const WorstToken& worst : result.worst) {
    const PositionMetrics& metrics = worst.at.metrics;
    out += fmt::format(
        "<tr><td class=\"number\">{:.3g}</td><td class=\"text\">… {}<mark>{}</mark></td>"
        "<td><code>{}</code> {}</td><td><code>{}</code> {}</td><td "
        "class=\"number\">{}:{}</td></tr>\n",
        metrics.kl, EscapeMarkup(worst.before), EscapeMarkup(worst.next), EscapeMarkup(worst.first),
        Share(metrics.first_top_p), EscapeMarkup(worst.second), Share(metrics.second_top_p),
        worst.at.place.window, worst.at.place.position);
  }
  return out + "</tbody></table></div></section>\n";
}

std::string Greedy(const DiffResult& result) {
  if (result.greedy.empty()) return "";
  std::string out =
      "<section><h2>Greedy text</h2>\n<div class=\"scroll\"><table class=\"words\">"
      "<thead><tr><th>parts at</th><th>first</th><th>second</th></tr></thead><tbody>\n";
  for (const GreedyText& text : result.greedy) {
    out += fmt::format(
        "<tr><td class=\"number\">{}</td><td class=\"text\">{}</td><td class=\"text\">{}"
        "</td></tr>\n",
        text.first_difference ? fmt::format("token {}", *text.first_difference)
                              : std::string("never"),
        EscapeMarkup(text.first), EscapeMarkup(text.second));
  }
  return out + "</tbody></table></div></section>\n";
}

std::string BisectHtml(const BisectResult& bisect) {
  std::string out = fmt::format(
      "<section><h2>Kept in float</h2>\n<p class=\"why\">Measured on {} positions: the mean KL "
      "divergence with one group of linears in float; {} as the checkpoint is.</p>\n"
      "<div class=\"scroll\"><table><thead><tr><th>linears</th><th>KL</th><th>falls by</th></tr>"
      "</thead><tbody>\n",
      bisect.positions, SixDigits(bisect.kl));
  for (const KeptGroup& kept : bisect.kept) {
    out += fmt::format(
        "<tr><th>{}</th><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>\n",
        EscapeMarkup(Join(kept.group.selectors, " ")), SixDigits(kept.kl),
        bisect.kl > 0 ? Share(1 - kept.kl / bisect.kl) : "");
  }
  out += "</tbody></table></div>\n";
  if (bisect.advised > 0) {
    out += fmt::format("<p>For slim-quant; the KL divergence is {} then:</p>\n<pre>{}</pre>\n",
                       SixDigits(bisect.together[bisect.advised - 1]),
                       EscapeMarkup(DisableNamesLine(bisect)));
  }
  return out + "</section>\n";
}

}  // namespace

std::string DiffReportHtml(const DiffResult& result, std::span<const Metric> metrics) {
  std::string body = Summary(result);
  if (!result.non_finite) {
    const auto wanted = [&](Metric metric) {
      return std::find(metrics.begin(), metrics.end(), metric) != metrics.end();
    };
    if (result.run && wanted(Metric::kKl)) body += Histogram(result);
    if (result.layers) {
      body += LayerCurve(*result.layers);
      HeatTable table;
      for (const LinearErrors& linear : result.layers->linears) {
        if (linear.type != Scheme::kFloat) table.Add(linear.name, linear.local.sqnr_db);
      }
      body += table.Html("Linears",
                         "Signal to noise of what each quantized linear gives from the "
                         "input that the first model has, by block.");
    }
    if (result.bisect) body += BisectHtml(*result.bisect);
    if (result.weights) {
      HeatTable table;
      for (const WeightErrors& weight : result.weights->tensors)
        table.Add(weight.name, weight.errors.sqnr_db);
      body += table.Html("Weights", "Signal to noise of the quantized weights, by block.");
    }
    body += Worst(result);
    if (wanted(Metric::kGreedy)) body += Greedy(result);
  }
  const std::string style = std::string(kChartStyle) + std::string(kPageStyle);
  return DumpHtml({"slim-diff", result.second.path, "what quantization cost", style, body});
}

}  // namespace slim
