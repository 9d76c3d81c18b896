// The command line of slim-quant: its flag table, and what the flags mean as a run, whether they
// are slim's own or those of msModelSlim's two commands (source document S004).
#pragma once

#include <string>

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/console.h"
#include "cli/flag.h"
#include "os/output.h"
#include "quant/options.h"

namespace slim {

extern const Tool kQuantTool;

struct QuantCommand {
  std::string model;
  std::string output;
  QuantOptions options;
  OutputOptions write;
  bool dry_run = false;
};

// What was typed, after defaults and conflicts. Old flags that mean nothing here are noted on the
// console.
Result<QuantCommand> ReadQuantCommand(const Arguments& arguments, Console& console);

}  // namespace slim
