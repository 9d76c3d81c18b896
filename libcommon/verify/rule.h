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
#include "checkpoint/dialects/dialect.h"
#include "linear/scheme.h"
#include "verify/profile.h"

namespace slim {

enum class Severity : uint8_t { kError, kWarning, kNote };
std::string_view SeverityName(Severity severity);  // "error"

// When a rule is looked at: always, where values are read, or against a manifest.
enum class RuleDepth : uint8_t { kHeaders, kDeep, kManifest };
// "" for kHeaders, else the flag that asks for it: "--deep".
std::string_view RuleDepthFlag(RuleDepth depth);

// Dialects that a rule applies to, and whether a single file is among them.
using DialectSet = uint16_t;

namespace rule_table {
using enum Severity;
using enum RuleDepth;
// Bits of `dialects`: one a Dialect, the highest for a single file, which has none.
constexpr DialectSet On(Dialect dialect) {
  return static_cast<DialectSet>(1U << static_cast<unsigned>(dialect));
}
inline constexpr DialectSet kOnSingleFile = 1U << 15;
inline constexpr DialectSet kOnHf = On(Dialect::kHf);
inline constexpr DialectSet kOnAscendV1 = On(Dialect::kAscendV1);
inline constexpr DialectSet kOnAscendV1V0 = On(Dialect::kAscendV1V0);
inline constexpr DialectSet kOnMindIE = On(Dialect::kMindIE);
inline constexpr DialectSet kQuantized = kOnAscendV1 | kOnAscendV1V0 | kOnMindIE;
inline constexpr DialectSet kOnCompressedTensors = On(Dialect::kCompressedTensors);
inline constexpr DialectSet kOnGptq = On(Dialect::kGptq);
inline constexpr DialectSet kOnAwq = On(Dialect::kAwq);
inline constexpr DialectSet kOnFp8Block = On(Dialect::kFp8Block);
inline constexpr DialectSet kOnGoldenStick = On(Dialect::kGoldenStick);
inline constexpr DialectSet kOnGguf = On(Dialect::kGguf);
inline constexpr DialectSet kOnTorchBin = On(Dialect::kTorchBin);
inline constexpr DialectSet kOnNpy = On(Dialect::kNpy);
// Pickles hold their headers.
inline constexpr DialectSet kPickled = kOnTorchBin | kOnNpy;
inline constexpr DialectSet kForeign =
    kOnCompressedTensors | kOnGptq | kOnAwq | kOnFp8Block | kOnGoldenStick;
inline constexpr DialectSet kWithCodes = kQuantized | kForeign | kOnNpy;
inline constexpr DialectSet kDescribed = kQuantized | kOnGoldenStick;
// Static W8A8 with scales, codes and a folded bias that can be held against each other.
inline constexpr DialectSet kFolded = kDescribed | kOnNpy;
// Tensors by the names and with the meanings of our own dialects.
inline constexpr DialectSet kPlain = kOnHf | kQuantized | kPickled;
inline constexpr DialectSet kOnParts = On(Dialect::kMindIEParts);
inline constexpr DialectSet kAnyDialect = kPlain | kForeign | kOnParts | kOnGguf;
inline constexpr DialectSet kContainer = kAnyDialect | kOnSingleFile;
// Quantization types of the layers that a rule is about, one bit a Scheme.
constexpr uint64_t On(Scheme scheme) { return uint64_t{1} << static_cast<unsigned>(scheme); }
inline constexpr uint64_t kAnyType = ~uint64_t{0};
inline constexpr uint64_t kStatic = On(Scheme::kW8A8) | On(Scheme::kW8A8Mix) | On(Scheme::kW8A8S);
inline constexpr uint64_t kSymmetric =
    On(Scheme::kW8A8) | On(Scheme::kW8A8Mix) | On(Scheme::kW8A8Dynamic);
inline constexpr uint64_t kUnpackedInt4 =
    On(Scheme::kW4A4Dynamic) | On(Scheme::kW4A4FlatQuantDynamic);
inline constexpr uint64_t kSparse =
    On(Scheme::kW8A8S) | On(Scheme::kW8A8SC) | On(Scheme::kW16A16S) | On(Scheme::kW16A16SC);
inline constexpr uint64_t kPackedInt8Activations = On(Scheme::kW4A8Dynamic);
inline constexpr uint64_t kCompressed = On(Scheme::kW8A8SC) | On(Scheme::kW16A16SC);
inline constexpr uint64_t kKvCache = On(Scheme::kC8);
// Loaders (bits of LoaderVersion); kEvery: the rule is about the files, whoever loads them.
inline constexpr LoaderSet kEvery = ~LoaderSet{0};
inline constexpr LoaderSet kOnAtb =
    BitOf(LoaderVersion::kMindieAtb2) | BitOf(LoaderVersion::kMindieAtbNow);
inline constexpr LoaderSet kOnRuntime = BitOf(LoaderVersion::kMindieNow);
// The atb runner takes the runtime's loader for some models.
inline constexpr LoaderSet kOnRuntimePath = kOnRuntime | BitOf(LoaderVersion::kMindieAtbNow);
inline constexpr LoaderSet kOnMindies = kOnAtb | kOnRuntime;
inline constexpr LoaderSet kOnVllm = BitOf(LoaderVersion::kVllm07) | BitOf(LoaderVersion::kVllm09) |
                                     BitOf(LoaderVersion::kVllm16) |
                                     BitOf(LoaderVersion::kVllmMain);
inline constexpr LoaderSet kOnVllm09 = BitOf(LoaderVersion::kVllm09);
inline constexpr LoaderSet kOnVllm16 = BitOf(LoaderVersion::kVllm16);
inline constexpr LoaderSet kOnVllmNew = kOnVllm16 | BitOf(LoaderVersion::kVllmMain);
inline constexpr LoaderSet kOnSglang = BitOf(LoaderVersion::kSglangNow);
inline constexpr LoaderSet kOnMindSpore = BitOf(LoaderVersion::kMindSporeNow);
inline constexpr LoaderSet kOnLoaders = kOnMindies | kOnVllm | kOnSglang | kOnMindSpore;
}  // namespace rule_table

struct Rule {
  std::string_view id;
  Severity severity;
  DialectSet dialects;
  uint64_t types;     // of layers
  LoaderSet loaders;  // a rule of some loaders is looked at only when --for names one of them
  RuleDepth depth;
  std::string_view text;  // what is required, one line
  std::string_view why;
  std::string_view fix;
};

namespace rule_table {
inline constexpr auto kRules = std::to_array<Rule>({
#define SLIM_RULE(id, severity, dialects, depth, text, why, fix) \
  {id, severity, dialects, kAnyType, kEvery, depth, text, why, fix},
#define SLIM_TYPE_RULE(id, severity, dialects, types, depth, text, why, fix) \
  {id, severity, dialects, types, kEvery, depth, text, why, fix},
#define SLIM_LOADER_RULE(id, severity, loaders, depth, text, why, fix) \
  {id, severity, kAnyDialect, kAnyType, loaders, depth, text, why, fix},
#include "verify/rules.def"
#undef SLIM_RULE
#undef SLIM_TYPE_RULE
#undef SLIM_LOADER_RULE
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
bool AppliesTo(const Rule& rule, Dialect dialect, bool single_file);
const Rule* FindRule(std::string_view id);
// The rule, or a usage error that offers the nearest spelling.
Result<const Rule*> RuleNamed(std::string_view id);
// "error" for a dialect's rule list: names of the dialects, "file" for a single file.
std::vector<std::string> DialectsOf(const Rule& rule);
// Labels of the types the rule is about; empty: of every type.
std::vector<std::string> TypesOf(const Rule& rule);
// Loaders and generations the rule is about; empty: of all, whoever loads the files.
std::vector<std::string> LoadersOf(const Rule& rule);

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
