// Findings that somebody looked at and accepts: a file that names them, and taking them out of a
// report, so that only new ones fail a build.
#pragma once

#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "verify/verify.h"

namespace slim {

class Baseline {
 public:
  // schemas/verify_baseline.schema.json. Rules BASE-…, JSON-….
  static Result<Baseline> Parse(std::string_view json);
  static Baseline Of(const std::vector<VerifyOutcome>& outcomes);

  // Sorted; the same findings give the same bytes. Paths are relative to the checkpoint, so that a
  // baseline serves its copies, too.
  std::string Text() const;

  // Takes out what is known, counts it in report.accepted and remembers what was met.
  void Accept(VerifyReport& report);
  // Entries that no report had: they can go.
  uint64_t Unmet() const { return entries_.size() - met_.size(); }

 private:
  // Rule, relative path, tensor, found, wanted.
  using Entry = std::array<std::string, 5>;
  static Entry EntryOf(const VerifyReport& report, const Finding& finding);

  std::set<Entry> entries_;
  std::set<Entry> met_;
};

}  // namespace slim
