// slim-verify: is a checkpoint what loaders insist on.
#include "cli/run_tool.h"
#include "kernels/isa.h"
#include "options.h"
#include "session.h"

int main(int argc, char** argv) {
  return slim::RunTool(slim::kVerifyTool, argc, argv, slim::RunVerify, slim::IsaEnvironmentStatus);
}
