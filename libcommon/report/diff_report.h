// What slim-diff measured, as text for people, as JSON (schemas/diff_report.schema.json) and as
// CSV. Windows, positions and tokens count from 1. Only the metrics asked for are shown.
#pragma once

#include <span>
#include <string>

#include "diff/compare.h"
#include "json/json.h"

namespace slim {

std::string DiffReportText(const DiffResult& result, std::span<const Metric> metrics);
Json DiffReportJson(const DiffResult& result, std::span<const Metric> metrics);
// One line a figure: metric,statistic,value,limit,met; the last two only where there is a limit.
std::string DiffReportCsv(const DiffResult& result, std::span<const Metric> metrics);

// One line without a newline: whether the comparison passed, or what failed with value and limit.
std::string DiffVerdict(const DiffResult& result);

}  // namespace slim
