// The command line of slim-diff: its flag table, and what the flags mean as a comparison and a
// report.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/flag.h"
#include "diff/compare.h"
#include "os/output.h"

namespace slim {

extern const Tool kDiffTool;

enum class ReportFormat : uint8_t { kText, kJson, kCsv, kJUnit, kHtml };

struct DiffCommand {
  DiffOptions options;
  std::vector<Metric> metrics;  // in the order of AllMetrics()
  ReportFormat format = ReportFormat::kText;
  std::string output;  // empty: standard output
  OutputOptions write;
};

Result<DiffCommand> ReadDiffCommand(const Arguments& arguments);

}  // namespace slim
