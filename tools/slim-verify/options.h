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

enum class VerifyFormat : uint8_t { kText, kJson, kSarif, kJUnit, kGitHub, kHtml };

struct VerifyCommand {
  enum class Mode : uint8_t {
    kVerify,
    kWriteManifest,
    kCheckManifest,
    kListTensors,
    kListRules,
    kListProfiles,
    kExplain
  };
  Mode mode = Mode::kVerify;
  std::vector<std::string> paths;
  std::vector<const Rule*> rules;  // of kListRules and kExplain
  VerifyOptions options;
  ManifestOptions manifest;  // of kWriteManifest and kCheckManifest
  VerifyFormat format = VerifyFormat::kText;
  std::string baseline;        // of findings that are accepted; empty: none
  std::string write_baseline;  // where this run's findings go; empty: nowhere
  std::string config;          // slim-verify.yaml; empty: that of the working directory, if any
  std::string output;          // empty: standard output
  OutputOptions write;
  bool quiet = false;  // nothing on standard output
};

// What was typed, after conflicts; "-" among the paths is replaced by the lines of standard input.
Result<VerifyCommand> ReadVerifyCommand(const Arguments& arguments);

}  // namespace slim
