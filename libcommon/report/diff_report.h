// What slim-diff measured, as text for people, as JSON (schemas/diff_report.schema.json), as CSV,
// as JUnit and as an HTML page. Windows, positions and tokens count from 1. Only the metrics asked
// for are shown.
#pragma once

#include <span>
#include <string>

#include "diff/compare.h"
#include "json/json.h"

namespace slim {

std::string DiffReportText(const DiffResult& result, std::span<const Metric> metrics);
Json DiffReportJson(const DiffResult& result, std::span<const Metric> metrics);
// One line a figure: metric,statistic,value,limit,met; the last two only where there is a limit.
// Of layers and weights the statistic is "NAME figure".
std::string DiffReportCsv(const DiffResult& result, std::span<const Metric> metrics);
// One test case a limit, and one for finite logits.
std::string DiffReportJUnit(const DiffResult& result);
// A page that needs nothing else.
std::string DiffReportHtml(const DiffResult& result, std::span<const Metric> metrics);

// One line without a newline: whether the comparison passed, or what failed with value and limit.
std::string DiffVerdict(const DiffResult& result);
// "--disable-names a b c", or "" when no layer is worth it.
std::string DisableNamesLine(const BisectResult& bisect);

}  // namespace slim
