// What the flags of slim-quant (flags.h) mean as a run: slim's own, a recipe or preset, or those of
// msModelSlim's one-click command (source document S004); old_commands.h has the older ones.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/console.h"
#include "os/output.h"
#include "quant/options.h"

namespace slim {

struct QuantCommand {
  std::string model;
  std::string output;
  QuantOptions options;
  OutputOptions write;
  std::optional<double> budget;  // of --auto-fallback: KL in nats a token
  std::string report;            // path of the HTML page, or empty
  bool dry_run = false;
  bool list_presets = false;  // then nothing else is set
};

// What was typed, after defaults and conflicts. Old flags that mean nothing here are noted on the
// console.
Result<QuantCommand> ReadQuantCommand(const Arguments& arguments, Console& console);

}  // namespace slim
