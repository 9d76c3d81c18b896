// slim-verify.yaml: how severe rules are in somebody's house.
//
//   severities:
//     DE-version: error      # error, warning, note or off
//     SIDE: off              # every rule that begins with SIDE-
//
// The longest name that fits a rule counts.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "verify/verify.h"

namespace slim {

inline constexpr std::string_view kVerifyConfigName = "slim-verify.yaml";

class Severities {
 public:
  // `source` names the file in errors, which carry rule CONFIG-… or YAML-….
  static Result<Severities> Parse(std::string_view yaml, const std::string& source);

  bool empty() const { return by_name_.empty(); }
  // Changes what is there and drops what is off. Rules that only some loader asks for are changed
  // alike.
  void Apply(VerifyReport& report) const;

 private:
  // Empty: off.
  using Choice = std::optional<Severity>;
  const Choice* Find(std::string_view rule) const;

  std::map<std::string, Choice, std::less<>> by_name_;
};

}  // namespace slim
