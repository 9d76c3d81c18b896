// slim-quant: float checkpoint in, quantized checkpoint out.
#include <cerrno>
#include <cstdio>

#include "cli/run_tool.h"
#include "commands.h"
#include "flags.h"
#include "kernels/isa.h"
#include "parallel/mpi.h"

namespace {

// Joins the other processes of an mpirun before anything is read; only the first one talks.
slim::Status StartUp() {
  SLIM_TRY(slim::IsaEnvironmentStatus());
  slim::Ranks& ranks = slim::Ranks::World();
  SLIM_TRY(ranks.Start());
  const bool silent = ranks.rank() == 0 || (std::freopen("/dev/null", "w", stdout) != nullptr &&
                                            std::freopen("/dev/null", "w", stderr) != nullptr);
  return silent ? slim::Status() : slim::SystemError("/dev/null", "cannot open", errno);
}

}  // namespace

int main(int argc, char** argv) {
  const int code = slim::RunTool(slim::kQuantTool, argc, argv, slim::RunQuant, StartUp);
  return slim::Ranks::World().Finish(code);
}
