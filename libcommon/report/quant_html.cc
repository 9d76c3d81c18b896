#include "report/quant_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.h"
#include "quant/advice.h"
#include "report/html_page.h"
#include "report/linear_groups.h"
#include "report/markup.h"
#include "report/quant_report.h"
#include "report/svg_charts.h"

namespace slim {
namespace {

constexpr std::string_view kTableStyle = R"(
.bar { height: .8rem; border-radius: .2rem; background: var(--note); min-width: 2px; }
.bar.old { background: var(--dim); } .sizes td:last-child { width: 60%; } .sizes { width: 100%; }
.linears td { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.linears { border-collapse: separate; border-spacing: 0; }
.linears td.word { text-align: left; } .linears thead th { text-align: right; position: sticky; top: 0; background: var(--paper); }
.linears thead th { z-index: 1; } .linears thead th:first-child { text-align: left; z-index: 2; }
.linears th:first-child { position: sticky; left: 0; background: var(--paper); } .linears tr.first > * { border-top: 1px solid var(--dim); }
.tall { max-height: 42rem; overflow: auto; })";

// One linear, or the like linears of all experts of a block: the worst of each number.
struct Row {
  std::string name;  // "model.layers.3.mlp.experts.*.up_proj"
  std::string leaf;  // without the block: "mlp.experts.*.up_proj"; outside the blocks the name
  std::optional<uint64_t> layer;
  const LinearPlan* plan = nullptr;  // the first
  uint64_t count = 0;
  LinearMeasurement worst;
};

template <typename Pick>
void Take(std::optional<double>& to, const std::optional<double>& from, const Pick& pick) {
  if (from) to = to ? pick(*to, *from) : *from;
}

void Widen(std::optional<Spread>& to, const std::optional<Spread>& from) {
  if (!from) return;
  if (!to) {
    to = from;
    return;
  }
  to->min = std::min(to->min, from->min);
  to->median = std::max(to->median, from->median);
  to->max = std::max(to->max, from->max);
}

void Widen(std::optional<InputMeasurement>& to, const std::optional<InputMeasurement>& from) {
  if (!from) return;
  if (!to) {
    to = from;
    return;
  }
  to->min = std::min(to->min, from->min);
  to->max = std::max(to->max, from->max);
  std::optional<Spread> channels = to->channels;
  Widen(channels, from->channels);
  to->channels = *channels;
}

void Join(LinearMeasurement& worst, const LinearMeasurement& one) {
  const auto smaller = [](double a, double b) { return std::min(a, b); };
  const auto larger = [](double a, double b) { return std::max(a, b); };
  Take(worst.weight_sqnr_db, one.weight_sqnr_db, smaller);
  Take(worst.weight_saturation, one.weight_saturation, larger);
  Take(worst.weight_zeros, one.weight_zeros, larger);
  Take(worst.input_saturation, one.input_saturation, larger);
  Widen(worst.weight_scale, one.weight_scale);
  Widen(worst.input_before, one.input_before);
  Widen(worst.input_after, one.input_after);
  Widen(worst.smoothing, one.smoothing);
  Widen(worst.cache_scale, one.cache_scale);
  if (one.input && (!worst.input || one.input->scale > worst.input->scale)) worst.input = one.input;
}

// "….experts.7.up_proj" -> "….experts.*.up_proj"
std::string JoinExperts(const std::string& name) {
  constexpr std::string_view kMark = ".experts.";
  const size_t mark = name.find(kMark);
  if (mark == std::string::npos) return name;
  const size_t begin = mark + kMark.size();
  const size_t end = name.find('.', begin);
  if (end == std::string::npos) return name;
  return name.substr(0, begin) + "*" + name.substr(end);
}

std::vector<Row> RowsOf(const QuantSummary& summary, const QuantPlan& plan) {
  std::vector<Row> rows;
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < plan.linears.size(); ++i) {
    const LinearPlan& linear = plan.linears[i];
    const std::string name = JoinExperts(linear.name);
    const std::string key =
        fmt::format("{}|{}|{}", name, static_cast<int>(linear.scheme), linear.reason);
    const auto [place, fresh] = places.emplace(key, rows.size());
    if (fresh) {
      Row row;
      row.name = name;
      const auto [pattern, layer] = SplitLayer(name);
      row.layer = layer;
      row.leaf = layer ? pattern.substr(pattern.find(".*.") + 3) : name;
      row.plan = &linear;
      rows.push_back(std::move(row));
    }
    ++rows[place->second].count;
    Join(rows[place->second].worst, summary.measurements[i]);
  }
  return rows;
}

// Rows by kind of linear, in model order; the second index is the block.
struct Kind {
  std::string leaf;
  std::vector<const Row*> rows;  // null where the block has none
};

std::vector<Kind> KindsOf(const std::vector<Row>& rows, uint64_t blocks) {
  std::vector<Kind> kinds;
  for (const Row& row : rows) {
    if (!row.layer || *row.layer >= blocks) continue;
    auto kind = std::find_if(kinds.begin(), kinds.end(),
                             [&](const Kind& other) { return other.leaf == row.leaf; });
    if (kind == kinds.end()) {
      kinds.push_back({row.leaf, std::vector<const Row*>(blocks)});
      kind = kinds.end() - 1;
    }
    kind->rows[*row.layer] = &row;
  }
  return kinds;
}

// The largest |x| of all channels, or of the middle one.
using Reading = std::optional<double> (*)(const LinearMeasurement&);

ChartSeries SeriesOf(const Kind& kind, const char* name, std::string_view css_class,
                     Reading reading) {
  ChartSeries series{name, css_class, {}};
  for (const Row* row : kind.rows)
    series.values.push_back(row == nullptr ? std::nullopt : reading(row->worst));
  return series;
}

std::vector<ChartSeries> RangeSeries(const Kind& kind) {
  return {SeriesOf(kind, "widest channel before", "before",
                   [](const LinearMeasurement& m) -> std::optional<double> {
                     if (!m.input_before) return std::nullopt;
                     return m.input_before->channels.max;
                   }),
          SeriesOf(kind, "median channel before", "before typical",
                   [](const LinearMeasurement& m) -> std::optional<double> {
                     if (!m.input_before) return std::nullopt;
                     return m.input_before->channels.median;
                   }),
          SeriesOf(kind, "widest channel after", "after",
                   [](const LinearMeasurement& m) -> std::optional<double> {
                     if (!m.input_after) return std::nullopt;
                     return m.input_after->channels.max;
                   }),
          SeriesOf(kind, "median channel after", "after typical",
                   [](const LinearMeasurement& m) -> std::optional<double> {
                     if (!m.input_after) return std::nullopt;
                     return m.input_after->channels.median;
                   })};
}

// Linears whose curves are the same, as of those that read one tensor, share a chart.
std::string Charts(const std::vector<Kind>& kinds,
                   std::vector<ChartSeries> (*series_of)(const Kind& kind)) {
  std::vector<std::pair<std::string, std::vector<ChartSeries>>> charts;
  for (const Kind& kind : kinds) {
    std::vector<ChartSeries> series = series_of(kind);
    const auto same = std::find_if(charts.begin(), charts.end(), [&](const auto& chart) {
      for (size_t i = 0; i < series.size(); ++i) {
        if (chart.second[i].values != series[i].values) return false;
      }
      return true;
    });
    if (same != charts.end()) {
      same->first += ", " + kind.leaf.substr(kind.leaf.rfind('.') + 1);
    } else {
      charts.emplace_back(kind.leaf, std::move(series));
    }
  }
  std::string out;
  for (const auto& [title, series] : charts) out += LogLineChart(title, series);
  return out;
}

std::string RangeCharts(const std::vector<Kind>& kinds) {
  const std::string out = Charts(kinds, RangeSeries);
  if (out.empty()) return "";
  return "<section><h2>Activations that enter the linears</h2>\n"
         "<p class=\"why\">Largest magnitude over the calibration text, by block.</p>\n"
         "<p class=\"legend\"><span class=\"before\"><i></i>widest channel before smoothing</span>"
         "<span class=\"before typical\"><i></i>median channel before</span>"
         "<span class=\"after\"><i></i>widest channel after</span>"
         "<span class=\"after typical\"><i></i>median channel after</span></p>\n"
         "<div class=\"charts\">\n" +
         out + "</div></section>\n";
}

std::vector<ChartSeries> ScaleSeries(const Kind& kind) {
  return {SeriesOf(kind, "weight_scale, median", "scale",
                   [](const LinearMeasurement& m) -> std::optional<double> {
                     if (!m.weight_scale) return std::nullopt;
                     return m.weight_scale->median;
                   }),
          SeriesOf(kind, "input_scale", "after",
                   [](const LinearMeasurement& m) -> std::optional<double> {
                     if (!m.input) return std::nullopt;
                     return static_cast<double>(m.input->scale);
                   })};
}

std::string ScaleCharts(const std::vector<Kind>& kinds) {
  const std::string out = Charts(kinds, ScaleSeries);
  if (out.empty()) return "";
  return "<section><h2>Scales chosen</h2>\n"
         "<p class=\"legend\"><span class=\"scale\"><i></i>weight_scale, median of the "
         "outputs</span>"
         "<span class=\"after\"><i></i>input_scale of static types</span></p>\n"
         "<div class=\"charts\">\n" +
         out + "</div></section>\n";
}

struct HeatSpec {
  std::string_view title;
  std::string_view why;
  std::string_view unit;
  bool high_is_bad = false;
  Reading reading;
};

// Drawn from the best value there is to the worst.
std::string HeatSection(const std::vector<Kind>& kinds, const HeatSpec& spec) {
  std::vector<HeatRow> rows;
  std::optional<double> low;
  std::optional<double> high;
  for (const Kind& kind : kinds) {
    HeatRow row{kind.leaf, {}};
    for (const Row* linear : kind.rows) {
      HeatCell cell;
      if (linear == nullptr) cell.note = "none";
      if (linear != nullptr && linear->plan->scheme == Scheme::kFloat)
        cell.note = "float: " + linear->plan->reason;
      if (linear != nullptr) cell.value = spec.reading(linear->worst);
      if (cell.value && std::isfinite(*cell.value)) {
        low = std::min(low.value_or(*cell.value), *cell.value);
        high = std::max(high.value_or(*cell.value), *cell.value);
      }
      row.cells.push_back(std::move(cell));
    }
    rows.push_back(std::move(row));
  }
  if (!low) return "";
  if (*low == *high) {
    return fmt::format(
        "<section><h2>{}</h2>\n<p class=\"why\">{}</p>\n<p>{}{} everywhere.</p>"
        "</section>\n",
        spec.title, spec.why, ShortNumber(*low), spec.unit);
  }
  const double worst = spec.high_is_bad ? *high : *low;
  const double best = spec.high_is_bad ? *low : *high;
  return fmt::format(
      "<section><h2>{}</h2>\n<p class=\"why\">{}</p>\n"
      "<p class=\"legend\"><span><b style=\"opacity: .08\"></b>{}{}</span><span><b></b>{}{}</span>"
      "<span><b style=\"background: none\"></b>float</span></p>\n{}</section>\n",
      spec.title, spec.why, ShortNumber(best), spec.unit, ShortNumber(worst), spec.unit,
      HeatMap(rows, best, worst, spec.unit));
}

std::optional<double> Percent(const std::optional<double>& share) {
  if (!share) return std::nullopt;
  return *share * 100.0;
}

std::string HeatSections(const std::vector<Kind>& kinds) {
  return HeatSection(kinds,
                     {"Weights: signal to quantization noise",
                      "Of the weight after smoothing against what its codes stand for; the "
                      "fuller, the more was lost.",
                      " dB", false, [](const LinearMeasurement& m) { return m.weight_sqnr_db; }}) +
         HeatSection(kinds,
                     {"Weights: codes at the ends of their range",
                      "Every channel has one such code at least where its scale is its "
                      "largest weight; many mean that the scale clips.",
                      " %", true,
                      [](const LinearMeasurement& m) { return Percent(m.weight_saturation); }}) +
         HeatSection(kinds,
                     {"Activations: values outside the static range",
                      "Share of the calibration values that the range clips.", " %", true,
                      [](const LinearMeasurement& m) { return Percent(m.input_saturation); }});
}

std::string FactRow(std::string_view name, const std::string& value) {
  return fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", name, EscapeMarkup(value));
}

std::string SizeRow(std::string_view name, uint64_t bytes, uint64_t largest, bool old) {
  const double share = largest == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(largest);
  return fmt::format(
      "<tr><th>{}</th><td>{}</td><td><div class=\"bar{}\" style=\"width: "
      "{:.1f}%\"></div></td></tr>\n",
      name, HumanSize(bytes), old ? " old" : "", 100 * share);
}

std::string OverviewHtml(const QuantSummary& summary, const QuantPlan& plan,
                         const QuantOptions& options) {
  const Recipe& recipe = options.recipe;
  std::string out = "<section><h2>What was done</h2>\n<div class=\"scroll\"><table>\n";
  out += FactRow("output", summary.output);
  out += FactRow("type", std::string(SchemeLabel(summary.type)));
  out += FactRow("layout", std::string(TraitsOf(recipe.layout).name));
  out += FactRow("compute", std::string(ComputeModeName(recipe.compute)));
  out += FactRow("smoothing", SmoothText(recipe));
  if (plan.rotation) out += FactRow("rotation", "quarot");
  if (!plan.cached.empty()) out += FactRow("int8 caches", std::to_string(plan.cached.size()));
  out += FactRow("calibration",
                 summary.calibration.empty()
                     ? "none, the type is data-free"
                     : fmt::format("{} samples, {} tokens of {}, {} activations",
                                   summary.calibration_samples, summary.calibration_tokens,
                                   summary.calibration, PropagationName(recipe.propagate)));
  out += FactRow("linears", fmt::format("{} quantized, {} float", summary.quantized_linears,
                                        summary.float_linears));
  out += "</table></div>\n<h3>Size</h3>\n<table class=\"sizes\">\n";
  const uint64_t largest = std::max(summary.bytes_before, summary.bytes_after);
  out += SizeRow("before", summary.bytes_before, largest, true);
  out += SizeRow("after", summary.bytes_after, largest, false);
  return out + "</table></section>\n";
}

std::string FloatHtml(const QuantPlan& plan) {
  std::string rows;
  for (const LinearGroup& group : GroupLinears(plan)) {
    if (group.first->scheme != Scheme::kFloat) continue;
    rows += fmt::format("<tr><th>{}</th><td>{}</td><td>{}</td></tr>\n",
                        EscapeMarkup(GroupName(group.pattern, group.layers)),
                        HumanSize(group.bytes_after), EscapeMarkup(group.first->reason));
  }
  if (rows.empty()) return "";
  return "<section><h2>What stayed float</h2>\n<div class=\"scroll\"><table><thead><tr>"
         "<th>linears</th><th>size</th><th>why</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div></section>\n";
}

std::string Cell(const std::optional<double>& value) {
  return value ? fmt::format("<td>{}</td>", ShortNumber(*value)) : std::string("<td></td>");
}

std::string SpreadCell(const std::optional<Spread>& spread) {
  if (!spread) return "<td></td>";
  return fmt::format("<td>{} … {} … {}</td>", ShortNumber(spread->min), ShortNumber(spread->median),
                     ShortNumber(spread->max));
}

std::string RangeCell(const std::optional<InputMeasurement>& input) {
  if (!input) return "<td></td>";
  return fmt::format("<td>{} … {}</td>", ShortNumber(input->min), ShortNumber(input->max));
}

std::string LinearRow(const Row& row, bool first) {
  const LinearMeasurement& m = row.worst;
  std::string name = EscapeMarkup(row.name);
  if (row.count > 1) name += fmt::format(" ({})", row.count);
  std::string out = fmt::format(
      "<tr{}><th>{}</th><td class=\"word\">{}</td><td>{}</td>", first ? " class=\"first\"" : "",
      name, SchemeLabel(row.plan->scheme), EscapeMarkup(ShapeText({row.plan->n, row.plan->k})));
  out +=
      Cell(m.weight_sqnr_db) + Cell(Percent(m.weight_saturation)) + Cell(Percent(m.weight_zeros));
  out += SpreadCell(m.weight_scale) + RangeCell(m.input_before) + RangeCell(m.input_after);
  out += SpreadCell(m.smoothing);
  std::optional<double> scale;
  std::optional<double> offset;
  if (m.input) {
    scale = static_cast<double>(m.input->scale);
    offset = static_cast<double>(m.input->offset);
  }
  out += Cell(scale) + Cell(offset) + Cell(Percent(m.input_saturation)) + SpreadCell(m.cache_scale);
  return out + fmt::format("<td>{}</td><td>{}</td></tr>\n", HumanSize(row.plan->bytes_before),
                           HumanSize(row.plan->bytes_after));
}

std::string LinearsHtml(const std::vector<Row>& rows) {
  std::string out =
      "<section><h2>Every linear</h2>\n<p class=\"why\">Spreads are smallest … median … largest. "
      "The experts of a block share a row, which shows the worst of them. Empty: there is no such "
      "number, or an earlier run without a report wrote the layer.</p>\n"
      "<div class=\"scroll tall\"><table class=\"linears\"><thead><tr>";
  for (const char* head :
       {"linear", "type", "[n, k]", "weight SQNR, dB", "codes at ends, %", "codes 0, %",
        "weight_scale", "input before smoothing", "input after", "smoothed by", "input_scale",
        "input_offset", "inputs clipped, %", "cache scale", "bytes before", "after"}) {
    out += fmt::format("<th>{}</th>", head);
  }
  out += "</tr></thead><tbody>\n";
  std::optional<uint64_t> layer;
  for (const Row& row : rows) {
    out += LinearRow(row, row.layer != layer);
    layer = row.layer;
  }
  return out + "</tbody></table></div></section>\n";
}

std::string AdviceHtml(const QuantPlan& plan, const QuantOptions& options) {
  const AdviceSituation at = SituationOf(plan, options);
  std::string out = "<section><h2>What to try</h2>\n";
  for (const auto& [topic, title] :
       {std::pair{AdviceTopic::kAccuracy, "When the model lost too much"},
        std::pair{AdviceTopic::kMemory, "When memory is short"}}) {
    const std::vector<std::string_view> texts = AdviceFor(topic, at);
    if (texts.empty()) continue;
    out += fmt::format("<h3>{}</h3>\n<ul>\n", title);
    for (const std::string_view text : texts)
      out += fmt::format("<li>{}</li>\n", EscapeMarkup(text));
    out += "</ul>\n";
  }
  return out +
         "<p class=\"why\">slim-diff says what quantization cost: slim-diff MODEL OUTPUT"
         "</p></section>\n";
}

}  // namespace

std::string QuantHtml(const QuantSummary& summary, const QuantPlan& plan,
                      const QuantOptions& options) {
  const std::vector<Row> rows = RowsOf(summary, plan);
  const std::vector<Kind> kinds = KindsOf(rows, plan.config.num_layers);
  const std::string style = fmt::format("{}{}", kChartStyle, kTableStyle);
  HtmlPage page{.tool = "slim-quant",
                .title = fmt::format("{} {}", SchemeLabel(summary.type), summary.output),
                .heading = summary.output,
                .style = style,
                .body = {}};
  page.body = OverviewHtml(summary, plan, options) + FloatHtml(plan) + RangeCharts(kinds) +
              HeatSections(kinds) + ScaleCharts(kinds) + AdviceHtml(plan, options) +
              LinearsHtml(rows);
  return DumpHtml(page);
}

}  // namespace slim
