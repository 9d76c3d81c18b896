#include "verify/rule.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace slim {

std::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    case Severity::kNote:
      return "note";
  }
  return "";
}

std::string_view RuleDepthFlag(RuleDepth depth) {
  switch (depth) {
    case RuleDepth::kHeaders:
      return "";
    case RuleDepth::kDeep:
      return "--deep";
    case RuleDepth::kManifest:
      return "--manifest";
  }
  return "";
}

std::span<const Rule> AllRules() { return rule_table::kRules; }

bool AppliesTo(const Rule& rule, Dialect dialect, bool single_file) {
  const DialectSet bit = single_file ? rule_table::kOnSingleFile : rule_table::On(dialect);
  return (rule.dialects & bit) != 0;
}

const Rule* FindRule(std::string_view id) {
  const auto rules = AllRules();
  const auto found =
      std::find_if(rules.begin(), rules.end(), [&](const Rule& rule) { return rule.id == id; });
  return found == rules.end() ? nullptr : &*found;
}

Result<const Rule*> RuleNamed(std::string_view id) {
  if (const Rule* rule = FindRule(id); rule != nullptr) return rule;
  std::vector<std::string> ids;
  for (const Rule& rule : AllRules()) ids.emplace_back(rule.id);
  const std::string nearest = NearestSpelling(id, ids);
  return UsageError(
      fmt::format("no rule {}", Quote(id)),
      nearest.empty() ? "--list-rules names them all" : fmt::format("did you mean {}?", nearest));
}

std::vector<std::string> DialectsOf(const Rule& rule) {
  std::vector<std::string> names;
  for (const DialectTraits& traits : Dialects()) {
    if ((rule.dialects & rule_table::On(traits.dialect)) != 0) names.emplace_back(traits.name);
  }
  if ((rule.dialects & rule_table::kOnSingleFile) != 0) names.emplace_back("file");
  return names;
}

std::vector<std::string> TypesOf(const Rule& rule) {
  std::vector<std::string> labels;
  if (rule.types == rule_table::kAnyType) return labels;
  for (unsigned bit = 0; bit < kSchemeCount; ++bit) {
    if ((rule.types >> bit & 1U) != 0) labels.emplace_back(SchemeLabel(static_cast<Scheme>(bit)));
  }
  return labels;
}

std::vector<std::string> LoadersOf(const Rule& rule) {
  return rule.loaders == rule_table::kEvery ? std::vector<std::string>() : NamesOf(rule.loaders);
}

Result<RuleSelection> RuleSelection::Parse(const std::vector<std::string>& words) {
  RuleSelection selection;
  for (const std::string& word : words) {
    selection.all_ = false;
    bool matched = false;
    for (size_t i = 0; i < rule_table::kRules.size(); ++i) {
      const std::string_view id = rule_table::kRules[i].id;
      const bool prefix = id.starts_with(word) && !word.empty() &&
                          (word.ends_with('-') || id.substr(word.size()).starts_with('-'));
      if (id != word && !prefix) continue;
      selection.chosen_[i] = true;
      matched = true;
    }
    if (!matched) {
      SLIM_ASSIGN(const Rule* rule, RuleNamed(word));
      static_cast<void>(rule);
    }
  }
  return selection;
}

bool RuleSelection::ContainsId(std::string_view id) const {
  if (all_) return true;
  const Rule* rule = FindRule(id);
  return rule != nullptr && chosen_[static_cast<size_t>(rule - rule_table::kRules.data())];
}

}  // namespace slim
