#include "report/svg_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/markup.h"

namespace slim {
namespace {

constexpr double kWidth = 360;
constexpr double kHeight = 190;
constexpr double kLeft = 64;  // "0.007702" fits
constexpr double kRight = 10;
constexpr double kTop = 10;
constexpr double kBottom = 24;

// Of the decimal logarithm.
struct LogAxis {
  double low = 0;
  double high = 1;

  double Y(double value) const {
    return kTop + (high - std::log10(value)) / (high - low) * (kHeight - kTop - kBottom);
  }
};

std::optional<LogAxis> AxisOf(const std::vector<ChartSeries>& series) {
  std::optional<LogAxis> axis;
  for (const ChartSeries& one : series) {
    for (const std::optional<double>& value : one.values) {
      if (!value || !(*value > 0) || !std::isfinite(*value)) continue;
      const double at = std::log10(*value);
      if (!axis) axis = LogAxis{at, at};
      axis->low = std::min(axis->low, at);
      axis->high = std::max(axis->high, at);
    }
  }
  if (!axis) return axis;
  const double margin = std::max(0.05 * (axis->high - axis->low), 0.05);
  axis->low -= margin;
  axis->high += margin;
  return axis;
}

// 1, 2, 5, 10, … thinned out to what fits.
std::vector<double> TicksOf(const LogAxis& axis) {
  const std::vector<std::vector<double>> choices = {{1, 2, 5}, {1, 3}, {1}};
  for (const std::vector<double>& digits : choices) {
    std::vector<double> ticks;
    for (double power = std::floor(axis.low); power <= axis.high; ++power) {
      for (const double digit : digits) {
        const double tick = digit * std::pow(10.0, power);
        const double at = std::log10(tick);
        if (at >= axis.low && at <= axis.high) ticks.push_back(tick);
      }
    }
    if (ticks.size() < 2) return {std::pow(10.0, axis.low), std::pow(10.0, axis.high)};
    if (ticks.size() <= 7) return ticks;
  }
  std::vector<double> ticks;
  const double step = std::ceil((axis.high - axis.low) / 6.0);
  for (double power = std::ceil(axis.low); power <= axis.high; power += step)
    ticks.push_back(std::pow(10.0, power));
  return ticks;
}

double XOf(size_t block, size_t blocks) {
  if (blocks < 2) return (kLeft + kWidth - kRight) / 2;
  return kLeft +
         static_cast<double>(block) / static_cast<double>(blocks - 1) * (kWidth - kLeft - kRight);
}

std::string BlockLabels(size_t blocks) {
  std::string out;
  const size_t step = std::max<size_t>(1, (blocks + 7) / 8);
  for (size_t block = 0; block < blocks; block += step) {
    out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                       XOf(block, blocks), kHeight - 8, block);
  }
  return out;
}

std::string LineOf(const ChartSeries& series, const LogAxis& axis) {
  std::string path;
  std::string dots;
  bool pen_down = false;
  for (size_t block = 0; block < series.values.size(); ++block) {
    const std::optional<double>& value = series.values[block];
    if (!value || !(*value > 0) || !std::isfinite(*value)) {
      pen_down = false;
      continue;
    }
    const double x = XOf(block, series.values.size());
    const double y = axis.Y(*value);
    path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", x, y);
    dots += fmt::format(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"><title>block {}, {}: {}</title></circle>", x,
        y, series.values.size() > 24 ? 1.5 : 2.5, block, EscapeMarkup(series.name),
        ShortNumber(*value));
    pen_down = true;
  }
  return fmt::format("<g class=\"{}\"><path d=\"{}\"/>{}</g>", series.css_class, path, dots);
}

std::string HeatRowSvg(const HeatRow& row, double y, double left, double width, double pale,
                       double full, std::string_view unit) {
  constexpr double kRowHeight = 20;
  std::string out = fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", left - 8,
                                y + 14, EscapeMarkup(row.name));
  for (size_t block = 0; block < row.cells.size(); ++block) {
    const HeatCell& cell = row.cells[block];
    const double x = left + static_cast<double>(block) * width;
    const std::string place = fmt::format("x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"", x, y,
                                          width - 1, kRowHeight - 1);
    const std::string title = fmt::format("block {}, {}", block, EscapeMarkup(row.name));
    if (!cell.value) {
      out += fmt::format("<rect {} class=\"{}\"><title>{}: {}</title></rect>", place,
                         cell.note.empty() ? "unknown" : "kept", title,
                         cell.note.empty() ? "not measured" : EscapeMarkup(cell.note));
      continue;
    }
    const double span = full - pale;
    const double at = span == 0 || std::isinf(*cell.value) ? 0 : (*cell.value - pale) / span;
    out += fmt::format(
        "<rect {} class=\"heat\" fill-opacity=\"{:.3f}\"><title>{}: {}{}</title></rect>", place,
        0.08 + 0.92 * std::clamp(at, 0.0, 1.0), title, ShortNumber(*cell.value), unit);
  }
  return out;
}

}  // namespace

const std::string_view kChartStyle = R"(
svg { display: block; max-width: 100%; height: auto; }
svg text { font: 11px system-ui, sans-serif; fill: var(--dim); }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem 1.5rem; }
figure { margin: 0; } figcaption { font: .85rem ui-monospace, monospace; overflow-wrap: anywhere; }
.grid { stroke: var(--line); stroke-width: 1; }
.before { --mark: var(--error); } .after { --mark: var(--ok); } .scale { --mark: var(--note); }
svg .before path, svg .after path, svg .scale path { fill: none; stroke: var(--mark); stroke-width: 1.5; }
svg .before circle, svg .after circle, svg .scale circle { fill: var(--mark); }
svg .typical path { stroke-dasharray: 3 3; stroke-opacity: .7; } svg .typical circle { fill-opacity: .35; }
.heat { fill: var(--note); } .kept { fill: none; stroke: var(--line); } .unknown { fill: var(--soft); }
.legend span { margin-right: 1rem; color: var(--dim); font-size: .85rem; }
.legend span i { display: inline-block; width: 1.4rem; border-top: 2px solid var(--mark); margin-right: .35rem; vertical-align: middle; }
.legend .typical i { border-top-style: dashed; }
.legend b { display: inline-block; width: .9rem; height: .9rem; margin: 0 .3rem 0 0; vertical-align: middle;
  background: var(--note); border: 1px solid var(--line); })";

std::string ShortNumber(double value) { return fmt::format("{:.4g}", value); }

std::string LogLineChart(const std::string& title, const std::vector<ChartSeries>& series) {
  const std::optional<LogAxis> axis = AxisOf(series);
  if (!axis) return "";
  std::string out =
      fmt::format("<figure><figcaption>{}</figcaption>\n<svg viewBox=\"0 0 {} {}\" role=\"img\">",
                  EscapeMarkup(title), kWidth, kHeight);
  for (const double tick : TicksOf(*axis)) {
    const double y = axis->Y(tick);
    out += fmt::format(
        "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>",
        kLeft, kWidth - kRight, y, kLeft - 6, y + 4, ShortNumber(tick));
  }
  size_t blocks = 0;
  for (const ChartSeries& one : series) {
    blocks = std::max(blocks, one.values.size());
    out += LineOf(one, *axis);
  }
  return out + BlockLabels(blocks) + "</svg></figure>\n";
}

std::string HeatMap(const std::vector<HeatRow>& rows, double pale, double full,
                    std::string_view unit) {
  size_t blocks = 0;
  size_t longest = 0;
  for (const HeatRow& row : rows) {
    blocks = std::max(blocks, row.cells.size());
    longest = std::max(longest, row.name.size());
  }
  if (blocks == 0) return "";
  const double left = 16 + 6.2 * static_cast<double>(longest);
  const double width =
      std::clamp(std::floor((1100 - left) / static_cast<double>(blocks)), 6.0, 34.0);
  const double height = 20 * static_cast<double>(rows.size()) + 22;
  const double right = left + width * static_cast<double>(blocks) + 8;
  std::string out = fmt::format(
      "<div class=\"scroll\"><svg viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
      "role=\"img\">",
      right, height);
  for (size_t i = 0; i < rows.size(); ++i) {
    out += HeatRowSvg(rows[i], 20 * static_cast<double>(i), left, width, pale, full, unit) + "\n";
  }
  const auto step = static_cast<size_t>(std::ceil(26 / width));
  for (size_t block = 0; block < blocks; block += step) {
    out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                       left + (static_cast<double>(block) + 0.5) * width, height - 6, block);
  }
  return out + "</svg></div>\n";
}

}  // namespace slim
