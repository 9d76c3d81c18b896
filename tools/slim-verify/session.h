// One run of slim-verify: every path, then one report. The exit code is the worst of the paths.
#pragma once

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/run_tool.h"

namespace slim {

Result<int> RunVerify(const Arguments& arguments, Console& console);

}  // namespace slim
