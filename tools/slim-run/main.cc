// slim-run: what a checkpoint says, on this machine's processor.
#include "cli/run_tool.h"
#include "kernels/isa.h"
#include "options.h"
#include "session.h"

namespace slim {
namespace {

Result<int> RunRun(const Arguments& arguments, Console& console) {
  SLIM_ASSIGN(const RunCommand command, ReadRunCommand(arguments));
  return Session(command, console).Run();
}

}  // namespace
}  // namespace slim

int main(int argc, char** argv) {
  return slim::RunTool(slim::kRunTool, argc, argv, slim::RunRun, slim::IsaEnvironmentStatus);
}
