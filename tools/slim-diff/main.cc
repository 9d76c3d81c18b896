// slim-diff: what quantization cost, and in which layer: two checkpoints over the same text.
#include "cli/run_tool.h"
#include "diff/compare.h"
#include "kernels/isa.h"
#include "options.h"
#include "os/output.h"
#include "os/path_guard.h"
#include "report/diff_report.h"

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

bool WritesFile(const DiffCommand& command) {
  return !command.output.empty() && command.output != "-";
}

// Before the work: a report replaces nothing unless told, and never an input.
Status CheckOutput(const DiffCommand& command) {
  if (!WritesFile(command)) return {};
  const DiffOptions& options = command.options;
  for (const std::string* input : {&options.first, &options.second, &options.prompts}) {
    if (!input->empty() && *input != "-") SLIM_TRY(CheckOutputApart(*input, command.output));
  }
  return CheckFileAbsent(command.output, command.write);
}

Result<int> RunDiff(const Arguments& arguments, Console& console) {
  SLIM_ASSIGN(const DiffCommand command, ReadDiffCommand(arguments));
  SLIM_TRY(CheckOutput(command));
  SLIM_ASSIGN(const DiffResult result, CompareCheckpoints(command.options, console));
  const std::string report = Report(result, command);
  SLIM_TRY(WritesFile(command) ? WriteFileAtomically(command.output, report, command.write)
                               : console.Print(report));
  if (result.passed()) return 0;
  console.Note(DiffVerdict(result));
  return 1;
}

}  // namespace
}  // namespace slim

int main(int argc, char** argv) {
  return slim::RunTool(slim::kDiffTool, argc, argv, slim::RunDiff, slim::IsaEnvironmentStatus);
}
