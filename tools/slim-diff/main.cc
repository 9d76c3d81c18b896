// slim-diff: what quantization cost, and in which layer: two checkpoints over the same text.
#include "cli/run_tool.h"
#include "kernels/isa.h"
#include "measure.h"
#include "options.h"
#include "os/output.h"
#include "os/path_guard.h"

namespace slim {
namespace {

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
  SLIM_ASSIGN(const DiffOutcome outcome, Measure(command, console));
  SLIM_TRY(WritesFile(command) ? WriteFileAtomically(command.output, outcome.report, command.write)
                               : console.Print(outcome.report));
  if (outcome.passed) return 0;
  console.Note(outcome.verdict);
  return 1;
}

}  // namespace
}  // namespace slim

int main(int argc, char** argv) {
  return slim::RunTool(slim::kDiffTool, argc, argv, slim::RunDiff, slim::IsaEnvironmentStatus);
}
