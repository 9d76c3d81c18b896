// Charts of numbers by decoder block as inline SVG: lines on a logarithmic axis, and heat maps.
// Colours are classes of the page (series-0 …, the style in kChartStyle); every mark carries its
// number as a title.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slim {

extern const std::string_view kChartStyle;

// "0.00123", "48.1", "inf": four digits.
std::string ShortNumber(double value);

struct ChartSeries {
  std::string name;
  std::string_view css_class;  // of kChartStyle: "before", "after", "before typical", …
  std::vector<std::optional<double>> values;  // by block
};

// Values that are not positive are left out; empty when none is left.
std::string LogLineChart(const std::string& title, const std::vector<ChartSeries>& series);

struct HeatCell {
  std::optional<double> value;
  std::string note;  // why there is no value
};

struct HeatRow {
  std::string name;
  std::vector<HeatCell> cells;  // by block
};

// `pale` and `full`: the values that are drawn palest and fullest; either may be the larger.
std::string HeatMap(const std::vector<HeatRow>& rows, double pale, double full,
                    std::string_view unit);

}  // namespace slim
