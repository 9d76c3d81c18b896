// What a command line of slim-diff asks for, measured and put into the form of its report:
// checkpoints, or two saved outputs.
#pragma once

#include <string>

#include "base/listener.h"
#include "base/result.h"
#include "options.h"

namespace slim {

struct DiffOutcome {
  std::string report;
  bool passed = true;
  std::string verdict;  // one line, why not
};

Result<DiffOutcome> Measure(const DiffCommand& command, Listener& listener);

}  // namespace slim
