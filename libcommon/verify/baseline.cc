#include "verify/baseline.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "base/version.h"
#include "json/json.h"

namespace slim {
namespace {

constexpr std::array<std::string_view, 5> kMembers = {"rule", "path", "tensor", "found", "wanted"};

Error Malformed(std::string message) {
  return InputError("BASE-malformed", std::move(message),
                    "slim-verify --write-baseline makes a baseline");
}

}  // namespace

Baseline::Entry Baseline::EntryOf(const VerifyReport& report, const Finding& finding) {
  return {finding.rule, std::string(RelativePath(report, finding)), finding.tensor, finding.found,
          finding.wanted};
}

Result<Baseline> Baseline::Parse(std::string_view json) {
  SLIM_ASSIGN(const Json document, ParseJson(json));
  const Json* findings = document.is_object() ? document.Find("findings") : nullptr;
  if (findings == nullptr || !findings->is_array()) return Malformed("has no list 'findings'");
  Baseline baseline;
  for (const Json& finding : findings->items()) {
    if (!finding.is_object()) return Malformed("a finding is no object");
    Entry entry;
    for (const auto& [key, value] : finding.members()) {
      const auto at = std::find(kMembers.begin(), kMembers.end(), key);
      if (at == kMembers.end() || !value.is_string())
        return Malformed(fmt::format("a finding has the member {}", Quote(key)));
      entry[static_cast<size_t>(at - kMembers.begin())] = value.text();
    }
    if (entry[0].empty()) return Malformed("a finding names no rule");
    baseline.entries_.insert(std::move(entry));
  }
  return baseline;
}

Baseline Baseline::Of(const std::vector<VerifyOutcome>& outcomes) {
  Baseline baseline;
  for (const VerifyOutcome& outcome : outcomes) {
    if (outcome.report() == nullptr) continue;
    for (const Finding& finding : outcome.report()->findings)
      baseline.entries_.insert(EntryOf(*outcome.report(), finding));
  }
  return baseline;
}

std::string Baseline::Text() const {
  Json findings = Json::Array();
  for (const Entry& entry : entries_) {
    Json finding = Json::Object();
    for (size_t i = 0; i < kMembers.size(); ++i) {
      if (!entry[i].empty()) finding.Set(kMembers[i], entry[i]);
    }
    findings.Push(std::move(finding));
  }
  Json document = Json::Object();
  document.Set("tool", "slim-verify");
  document.Set("version", kVersion);
  document.Set("findings", std::move(findings));
  return DumpJson(document, {.indent = 2}) + "\n";
}

void Baseline::Accept(VerifyReport& report) {
  report.accepted += std::erase_if(report.findings, [&](const Finding& finding) {
    const Entry entry = EntryOf(report, finding);
    if (!entries_.contains(entry)) return false;
    met_.insert(entry);
    return true;
  });
}

}  // namespace slim
