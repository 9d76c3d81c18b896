// Verification of a checkpoint: what loaders insist on, rule by rule (rules.def), from headers and
// small JSON files alone, or with `deep` from every value, too. Looks, never changes. Both
// slim-verify and the tools that write checkpoints call it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "checkpoint/dialects/dialect.h"
#include "verify/profile.h"
#include "verify/rule.h"

namespace slim {

// What a loader does about a finding; kNone: the finding is about the files, whoever loads them.
enum class Effect : uint8_t {
  kNone,
  kRefuses,         // says so and stops
  kCrashes,         // fails while loading, with an error that names something else
  kCrashesForward,  // loads, and the first forward pass fails
  kLoadsWrong,      // loads, and computes wrong numbers
  kDegrades         // works, less accurately or slower
};
std::string_view EffectName(Effect effect);  // "refuses", "loads-wrong"; empty for kNone

struct Finding {
  std::string rule;
  Severity severity = Severity::kError;
  std::string path;    // the file, or the checkpoint itself
  std::string tensor;  // or the module; may be empty
  std::string found;   // what is there; may be empty
  std::string wanted;  // what should be there; may be empty
  std::string message;
  std::string why;
  std::string fix;
  std::string loader = {};  // "vllm-ascend@0.16": for whom it is one; empty: for anybody
  Effect effect = Effect::kNone;
};

// By rule in the order of the table, then by tensor and path in natural order.
void SortFindings(std::vector<Finding>& findings);

struct VerifyOptions {
  bool deep = false;
  bool strict = false;  // warnings count as errors in VerifyReport::ok()
  // Loaders to judge for. With one, what loaders differ about is an error only where a loader of
  // the list stumbles, and a warning else.
  std::vector<LoaderTarget> targets = {};
  std::vector<std::string> rules = {};  // ids or prefixes; empty: all
  int threads = 1;
};

struct VerifyReport {
  std::string path;
  Dialect dialect = Dialect::kHf;
  bool single_file = false;  // judged as a container only
  std::string manifest;      // what it was held against instead of the rules; empty: the rules
  bool deep = false;
  bool strict = false;
  std::vector<std::string> loaders = {};  // that it was judged for
  std::string quant_type;                 // the description's model_quant_type; empty without one
  uint64_t tensors = 0;
  uint64_t bytes = 0;             // of all tensors
  std::vector<Finding> findings;  // by rule in the order of the table, then by tensor
  uint64_t accepted = 0;          // that a baseline took out

  uint64_t Count(Severity severity) const;
  bool ok() const;
  std::string_view DialectName() const;  // "safetensors" for a single file, else the dialect
};

// The file of a finding without the checkpoint's own path in front; empty for the checkpoint
// itself.
std::string_view RelativePath(const VerifyReport& report, const Finding& finding);

// One path that was looked at: a report, or why there is none.
struct VerifyOutcome {
  std::string path;
  std::variant<VerifyReport, Error> result;

  const VerifyReport* report() const { return std::get_if<VerifyReport>(&result); }
  const Error* error() const { return std::get_if<Error>(&result); }
  int ExitCode() const;  // 0, 1 for a report that is not ok(), else the error's
};

// An error only when the path is no recognisable checkpoint, the system refuses to read it, or
// the options make no sense.
Result<VerifyReport> VerifyCheckpoint(const std::string& path, const VerifyOptions& options,
                                      Listener& listener);

}  // namespace slim
