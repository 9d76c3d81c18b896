// The command line of slim-verify: its flag table, and what the flags mean as a run.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/flag.h"
#include "os/output.h"
#include "verify/manifest_check.h"
#include "verify/verify.h"

namespace slim {

extern const Tool kVerifyTool;

struct VerifyCommand {
  enum class Mode : uint8_t {
    kVerify,
    kWriteManifest,
    kCheckManifest,
    kListTensors,
    kListRules,
    kExplain
  };
  Mode mode = Mode::kVerify;
  std::vector<std::string> paths;
  std::vector<const Rule*> rules;  // of kListRules and kExplain
  VerifyOptions options;
  ManifestOptions manifest;  // of kWriteManifest and kCheckManifest
  std::string output;        // empty: standard output
  OutputOptions write;
  bool quiet = false;  // nothing on standard output
};

// What was typed, after conflicts; "-" among the paths is replaced by the lines of standard input.
Result<VerifyCommand> ReadVerifyCommand(const Arguments& arguments);

}  // namespace slim
