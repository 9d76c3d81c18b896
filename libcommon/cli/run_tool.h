// From main() to an exit code: guards the standard descriptors, installs interrupt handlers, parses
// the command line, answers --help and --version, calls the tool, prints its error in one line,
// flushes stdout and says how it went (exit codes: base/error.h and the man pages).
//
//   int main(int argc, char** argv) {
//     return slim::RunTool(slim::kVerifyTool, argc, argv, slim::RunVerify);
//   }
#pragma once

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/console.h"
#include "cli/flag.h"

namespace slim {

// 0 for done, valid or same; 1 for the honest negative; errors carry their own code.
using ToolFunction = Result<int> (*)(const Arguments& arguments, Console& console);
// What a tool sets up before it runs, such as the instruction set that SLIM_ISA names.
using ToolSetup = Status (*)();

int RunTool(const Tool& tool, int argc, char** argv, ToolFunction run, ToolSetup setup = nullptr);

}  // namespace slim
