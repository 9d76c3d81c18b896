#include "verify/severities.h"

#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "json/yaml.h"

namespace slim {
namespace {

Error At(const std::string& source, const Yaml& at, std::string message, std::string hint = "") {
  return InputError("CONFIG-malformed", std::move(message), std::move(hint))
      .WithPath(fmt::format("{}:{}", source, at.line()));
}

// YAML 1.1 takes a plain off for a boolean.
Result<std::optional<Severity>> ParseChoice(const std::string& source, const Yaml& value) {
  if (value.AsBool() == false) return std::optional<Severity>();
  const std::string word = ToLower(value.text());
  for (const Severity severity : {Severity::kError, Severity::kWarning, Severity::kNote}) {
    if (word == SeverityName(severity)) return std::optional<Severity>(severity);
  }
  if (word == "off") return std::optional<Severity>();
  return At(source, value, fmt::format("severity {}", Quote(value.text())),
            "it is error, warning, note or off");
}

}  // namespace

Result<Severities> Severities::Parse(std::string_view yaml, const std::string& source) {
  SLIM_ASSIGN(const Yaml document, ParseYaml(yaml, source));
  Severities severities;
  if (document.is_null()) return severities;
  if (!document.is_mapping()) return At(source, document, "is no mapping");
  for (const auto& [key, value] : document.members()) {
    if (key.text() != "severities")
      return At(source, key, fmt::format("unknown key {}", Quote(key.text())), "known: severities");
    if (!value.is_mapping()) return At(source, value, "'severities' is no mapping");
    for (const auto& [rule, choice] : value.members()) {
      const auto selection = RuleSelection::Parse({rule.text()});
      if (!selection.ok())
        return At(source, rule, selection.error().message, selection.error().hint);
      SLIM_ASSIGN(severities.by_name_[rule.text()], ParseChoice(source, choice));
    }
  }
  return severities;
}

const Severities::Choice* Severities::Find(std::string_view rule) const {
  for (std::string_view name = rule; !name.empty();) {
    if (const auto found = by_name_.find(name); found != by_name_.end()) return &found->second;
    const size_t dash = name.rfind('-');
    if (dash == std::string_view::npos) break;
    name = name.substr(0, dash);
  }
  return nullptr;
}

void Severities::Apply(VerifyReport& report) const {
  std::erase_if(report.findings, [&](Finding& finding) {
    const Choice* choice = Find(finding.rule);
    if (choice == nullptr) return false;
    if (!*choice) return true;
    finding.severity = **choice;
    return false;
  });
}

}  // namespace slim
