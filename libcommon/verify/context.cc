#include "verify/context.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "model/model_config.h"

namespace slim {

VerifyContext::VerifyContext(const Checkpoint& checkpoint, RuleSelection selection)
    : checkpoint_(checkpoint), selection_(selection), layers_(checkpoint) {
  const DialectGuess& guess = checkpoint.guess();
  const size_t wanted =
      checkpoint.index() ? checkpoint.index()->Files().size() : guess.weight_files.size();
  const bool lost_index = !guess.index_file.empty() && !checkpoint.index();
  incomplete_ = checkpoint.shards().size() < wanted || lost_index;
  if (description() != nullptr) {
    const Json* type = description()->Global("model_quant_type");
    if (type != nullptr && type->is_string()) quant_type_ = type->text();
  }
  ReadConfig();
}

void VerifyContext::ReadConfig() {
  const Json* config = checkpoint_.config();
  if (config == nullptr) return;
  for (const Json* place : {config, config->Find("text_config")}) {
    if (place == nullptr || !place->is_object() || model_dtype_) continue;
    if (auto dtype = ConfigDType(*place); dtype.ok()) model_dtype_ = *dtype;
  }
}

bool VerifyContext::Applies(const Rule& rule) const {
  const unsigned bit = checkpoint_.is_single_file()
                           ? rule_table::kOnSingleFile
                           : 1U << static_cast<unsigned>(checkpoint_.dialect());
  return (rule.dialects & bit) != 0;
}

void VerifyContext::Report(RuleName name, FindingDetail detail) {
  const Rule& rule = name.rule();
  if (!Applies(rule) || !selection_.Contains(name)) return;
  Finding finding{.rule = std::string(rule.id),
                  .severity = rule.severity,
                  .path = std::move(detail.path),
                  .tensor = std::string(detail.tensor),
                  .found = std::move(detail.found),
                  .wanted = std::move(detail.wanted),
                  .message = std::move(detail.message),
                  .why = std::string(rule.why),
                  .fix = std::string(rule.fix)};
  if (finding.message.empty())
    finding.message = fmt::format("is {}, wanted {}", finding.found, finding.wanted);
  if (finding.path.empty()) {
    const TensorEntry* entry = checkpoint_.Find(finding.tensor);
    finding.path =
        entry == nullptr ? checkpoint_.path() : checkpoint_.shards()[entry->shard].file.path();
  }
  const std::lock_guard lock(mutex_);
  findings_.push_back(std::move(finding));
}

void VerifyContext::Report(const Error& problem) {
  const Rule* rule = FindRule(problem.rule);
  // A rule that the table lacks is our own mistake; its finding is shown all the same.
  if (rule != nullptr && !selection_.ContainsId(rule->id)) return;
  Finding finding{.rule = problem.rule,
                  .severity = rule == nullptr ? Severity::kError : rule->severity,
                  .path = problem.path.empty() ? checkpoint_.path() : problem.path,
                  .tensor = problem.tensor,
                  .found = {},
                  .wanted = {},
                  .message = problem.message,
                  .why = rule == nullptr ? "" : std::string(rule->why),
                  .fix = problem.hint};
  if (problem.offset) finding.message += fmt::format(" (at byte {})", *problem.offset);
  if (finding.fix.empty() && rule != nullptr) finding.fix = rule->fix;
  const std::lock_guard lock(mutex_);
  findings_.push_back(std::move(finding));
}

std::vector<Finding> VerifyContext::TakeFindings() {
  SortFindings(findings_);
  return std::move(findings_);
}

}  // namespace slim
