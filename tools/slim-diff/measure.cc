#include "measure.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "diff/compare.h"
#include "diff/dumps.h"
#include "report/diff_report.h"
#include "report/dump_report.h"

namespace slim {
namespace {

std::string Report(const DiffResult& result, const DiffCommand& command) {
  switch (command.format) {
    case ReportFormat::kJson:
      return DumpJson(DiffReportJson(result, command.metrics), {.indent = 2}) + "\n";
    case ReportFormat::kCsv:
      return DiffReportCsv(result, command.metrics);
    case ReportFormat::kJUnit:
      return DiffReportJUnit(result);
    case ReportFormat::kHtml:
      return DiffReportHtml(result, command.metrics);
    case ReportFormat::kText:
      break;
  }
  return DiffReportText(result, command.metrics);
}

Result<DiffOutcome> OutcomeOf(Result<DiffResult> result, const DiffCommand& command) {
  if (!result.ok()) return std::move(result).error();
  return DiffOutcome{Report(*result, command), result->passed(), DiffVerdict(*result)};
}

// The one limit that tensors without a meaning can be held against.
DiffOutcome OutcomeOfDumps(const DumpReport& dumps, const DiffCommand& command) {
  DiffOutcome outcome;
  switch (command.format) {
    case ReportFormat::kJson:
      outcome.report = DumpJson(DumpReportJson(dumps), {.indent = 2}) + "\n";
      break;
    case ReportFormat::kCsv:
      outcome.report = DumpReportCsv(dumps);
      break;
    default:
      outcome.report = DumpReportText(dumps);
  }
  for (const Threshold& threshold : command.options.thresholds) {
    for (const DumpRow& row : dumps.rows) {
      if (row.figures && row.figures->cosine_similarity >= threshold.limit) continue;
      outcome.passed = false;
      outcome.verdict = fmt::format("--min-cosine {} not met by {}{}", threshold.limit,
                                    Quote(row.key), row.figures ? "" : ": " + row.fail_reason);
      return outcome;
    }
  }
  return outcome;
}

Status CheckDumpOptions(const DiffCommand& command) {
  const DiffOptions& options = command.options;
  const bool page = command.format == ReportFormat::kHtml || command.format == ReportFormat::kJUnit;
  if (page) return UsageError("dumps of tensors have no such report", "text, json and csv do");
  for (const Threshold& threshold : options.thresholds) {
    if (threshold.kind->flag != "min-cosine")
      return UsageError(fmt::format("--{} is about models; dumps of tensors take --min-cosine",
                                    threshold.kind->flag));
  }
  return {};
}

}  // namespace

Result<DiffOutcome> Measure(const DiffCommand& command, Listener& listener) {
  const DiffOptions& options = command.options;
  const bool dumps = options.run && LooksLikeDump(options.first) && LooksLikeDump(options.second);
  if (!dumps) return OutcomeOf(CompareCheckpoints(options, listener), command);
  if (!options.prompts.empty() || options.bisect > 0)
    return UsageError("two saved outputs run nothing: no --prompts, no --bisect");
  SLIM_ASSIGN(const auto first, ReadSavedLogits(options.first));
  SLIM_ASSIGN(const auto second, ReadSavedLogits(options.second));
  if (first && second)
    return OutcomeOf(CompareLogitFiles(options, *first, *second, listener), command);
  SLIM_TRY(CheckDumpOptions(command));
  SLIM_ASSIGN(const DumpReport report, CompareDumps(options.first, options.second, listener));
  return OutcomeOfDumps(report, command);
}

}  // namespace slim
