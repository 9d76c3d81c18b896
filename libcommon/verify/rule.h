// The table of rules (rules.def) as values: what slim-verify looks at, how severe it is, why it
// matters and what to do. Knows no checkpoint.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim {

enum class Severity : uint8_t { kError, kWarning, kNote };
std::string_view SeverityName(Severity severity);  // "error"

// When a rule is looked at: always, where values are read, or against a manifest.
enum class RuleDepth : uint8_t { kHeaders, kDeep, kManifest };
// "" for kHeaders, else the flag that asks for it: "--deep".
std::string_view RuleDepthFlag(RuleDepth depth);

namespace rule_table {
using enum Severity;
using enum RuleDepth;
// Bits of `dialects`, one a Dialect in the order of its enumeration; kContainer also applies to a
// single file.
inline constexpr uint8_t kOnHf = 1;
inline constexpr uint8_t kOnAscendV1 = 2;
inline constexpr uint8_t kOnAscendV1V0 = 4;
inline constexpr uint8_t kOnMindIE = 8;
inline constexpr uint8_t kOnSingleFile = 16;
inline constexpr uint8_t kQuantized = kOnAscendV1 | kOnAscendV1V0 | kOnMindIE;
inline constexpr uint8_t kAnyDialect = kOnHf | kQuantized;
inline constexpr uint8_t kContainer = kAnyDialect | kOnSingleFile;
}  // namespace rule_table

struct Rule {
  std::string_view id;
  Severity severity;
  uint8_t dialects;
  RuleDepth depth;
  std::string_view text;  // what is required, one line
  std::string_view why;
  std::string_view fix;
};

namespace rule_table {
inline constexpr auto kRules = std::to_array<Rule>({
#define SLIM_RULE(id, severity, dialects, depth, text, why, fix) \
  {id, severity, dialects, depth, text, why, fix},
#include "verify/rules.def"
#undef SLIM_RULE
});
}  // namespace rule_table

// A rule by name, held against the table by the compiler.
class RuleName {
 public:
  consteval RuleName(const char* id)
      : index_(IndexOf(id)) {}  // NOLINT(google-explicit-constructor)
  constexpr size_t index() const { return index_; }
  const Rule& rule() const { return rule_table::kRules[index_]; }

 private:
  static consteval size_t IndexOf(std::string_view id) {
    for (size_t i = 0; i < rule_table::kRules.size(); ++i) {
      if (rule_table::kRules[i].id == id) return i;
    }
    throw "no such rule in rules.def";
  }
  size_t index_;
};

std::span<const Rule> AllRules();
const Rule* FindRule(std::string_view id);
// The rule, or a usage error that offers the nearest spelling.
Result<const Rule*> RuleNamed(std::string_view id);
// "error" for a dialect's rule list: names of the dialects, "file" for a single file.
std::vector<std::string> DialectsOf(const Rule& rule);

// Rules chosen by ids and prefixes ("LIN", "LIN-shape"); none chosen means all. A word that names
// no rule is a usage error.
class RuleSelection {
 public:
  static Result<RuleSelection> Parse(const std::vector<std::string>& words);
  bool ContainsId(std::string_view id) const;
  bool Contains(RuleName name) const { return all_ || chosen_[name.index()]; }

 private:
  bool all_ = true;
  std::array<bool, rule_table::kRules.size()> chosen_{};
};

}  // namespace slim
