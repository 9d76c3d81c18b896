// The command line of slim-convert as values.
#pragma once

#include <string>

#include "cli/arguments.h"
#include "cli/flag.h"
#include "convert/plan.h"
#include "os/output.h"

namespace slim {

struct ConvertRequest {
  bool list = false;  // --list: nothing else is read
  bool plan = false;  // --plan or --dry-run
  std::string input;
  std::string output;  // may be empty with `plan`
  ConvertOptions options;
  uint64_t ranks = 0;  // --tp; 0 unless given
  OutputOptions output_options;
  int threads = 1;
};

const Tool& ConvertTool();
Result<ConvertRequest> ReadConvertRequest(const Arguments& arguments);

}  // namespace slim
