// What each command of slim-quant does once its flags are read.
#pragma once

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/console.h"

namespace slim {

Result<int> RunQuant(const Arguments& arguments, Console& console);

}  // namespace slim
