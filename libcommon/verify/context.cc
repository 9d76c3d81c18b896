#include "verify/context.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>

#include "base/text.h"
#include "model/model_config.h"

namespace slim {

VerifyContext::VerifyContext(const Checkpoint& checkpoint, RuleSelection selection,
                             const std::vector<LoaderTarget>& targets, ThreadPool& pool)
    : checkpoint_(checkpoint), selection_(selection), targets_(targets), layers_(checkpoint, pool) {
  const DialectGuess& guess = checkpoint.guess();
  const size_t wanted =
      checkpoint.index() ? checkpoint.index()->files().size() : guess.weight_files.size();
  const bool lost_index = !guess.index_file.empty() && !checkpoint.index();
  incomplete_ = checkpoint.shards().size() < wanted || lost_index;
  if (description() != nullptr) {
    const Json* type = description()->Global("model_quant_type");
    if (type != nullptr && type->is_string()) quant_type_ = type->text();
  }
  ReadConfig();
}

namespace {

// Rules that no loader survives: damaged files, no usable config.json, values that are wrong
// whoever reads them. Everything else is a convention that some loaders keep and others do not.
bool LoadersDecide(const Rule& rule) {
  constexpr std::array<std::string_view, 9> kAlways = {"ST-", "JSON-", "IN-", "CF-missing", "PATH-",
                                                       "GG-", "PT-",   "PK-", "NP-"};
  constexpr std::array<std::string_view, 6> kAlwaysIds = {"CF-not-an-object", "CF-bad-value",
                                                          "CK-empty",         "VAL-not-finite",
                                                          "VAL-deq-bits",     "VAL-deq-product"};
  const auto starts = [&](std::string_view prefix) { return rule.id.starts_with(prefix); };
  return std::none_of(kAlways.begin(), kAlways.end(), starts) &&
         std::find(kAlwaysIds.begin(), kAlwaysIds.end(), rule.id) == kAlwaysIds.end();
}

}  // namespace

void VerifyContext::ReadConfig() {
  const Json* config = checkpoint_.config();
  if (config == nullptr) return;
  for (const Json* place : {config, config->Find("text_config")}) {
    if (place == nullptr || !place->is_object() || model_dtype_) continue;
    if (auto dtype = ConfigDType(*place); dtype.ok()) model_dtype_ = *dtype;
  }
}

bool VerifyContext::Applies(const Rule& rule) const {
  return AppliesTo(rule, checkpoint_.dialect(), checkpoint_.is_single_file());
}

Finding VerifyContext::MakeFinding(const Rule& rule, FindingDetail detail) const {
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
  return finding;
}

void VerifyContext::NoteFailure(const Error& error) const {
  const std::lock_guard lock(mutex_);
  if (failure_.ok() && error.code != ErrorCode::kInput) failure_ = error;
}

Status VerifyContext::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void VerifyContext::Report(RuleName name, FindingDetail detail) {
  const Rule& rule = name.rule();
  if (!Applies(rule) || !selection_.Contains(name)) return;
  Finding finding = MakeFinding(rule, std::move(detail));
  if (!targets_.empty() && rule.severity == Severity::kError && LoadersDecide(rule))
    finding.severity = Severity::kWarning;
  const std::lock_guard lock(mutex_);
  findings_.push_back(std::move(finding));
}

void VerifyContext::Report(RuleName name, const LoaderTarget& target, Effect effect,
                           FindingDetail detail) {
  const Rule& rule = name.rule();
  if (!selection_.Contains(name)) return;
  assert((rule.loaders & BitOf(target.version)) != 0);
  Finding finding = MakeFinding(rule, std::move(detail));
  finding.loader = target.name;
  finding.effect = effect;
  const bool mild = effect == Effect::kDegrades ||
                    (effect == Effect::kCrashesForward && !target.chip.has_value());
  if (mild && finding.severity == Severity::kError) finding.severity = Severity::kWarning;
  const std::lock_guard lock(mutex_);
  findings_.push_back(std::move(finding));
}

namespace {

// The readers of other containers have an id for each way to be broken.
std::string RuleOfContainer(const std::string& rule, Dialect dialect) {
  constexpr std::array<std::string_view, 4> kReaders = {"PT-", "PK-", "ZIP-", "NP-"};
  if (rule.starts_with("GG-")) return "GG-header";
  if (rule == "PT-script") return "PK-global";
  const bool container = std::ranges::any_of(
      kReaders, [&](std::string_view prefix) { return rule.starts_with(prefix); });
  if (!container || FindRule(rule) != nullptr) return rule;
  return dialect == Dialect::kNpy ? "NP-file" : "PT-file";
}

}  // namespace

void VerifyContext::Report(const Error& problem) {
  const std::string id = RuleOfContainer(problem.rule, checkpoint_.dialect());
  const Rule* rule = FindRule(id);
  // A rule that the table lacks is our own mistake; its finding is shown all the same.
  if (rule != nullptr && !selection_.ContainsId(rule->id)) return;
  Finding finding{.rule = id,
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
  if (!targets_.empty() && rule != nullptr && finding.severity == Severity::kError &&
      LoadersDecide(*rule))
    finding.severity = Severity::kWarning;
  const std::lock_guard lock(mutex_);
  findings_.push_back(std::move(finding));
}

namespace {

// Rules of a reader's errors by the names that they have here; empty: another check reports them.
std::string_view RuleOfReader(std::string_view rule) {
  if (rule == "CK-missing-tensor") return "LIN-missing-part";
  if (rule == "CV-scheme") return "LIN-unread-type";
  if (rule == "CK-missing-label") return "";  // DE-missing-entry
  return rule;
}

}  // namespace

Status VerifyContext::ReadForeign() {
  if (HasPlainTensors() || IsDialect(Dialect::kMindIEParts)) return {};
  // A broken GGUF file shows no layers; what is wrong with it is reported already.
  const bool gguf = checkpoint_.dialect() == Dialect::kGguf;
  if (gguf && !checkpoint_.problems().empty()) return {};
  std::vector<Error> problems;
  auto layers = InspectLayers(checkpoint_, problems);
  if (!layers.ok()) {
    if (layers.error().code != ErrorCode::kInput) return std::move(layers).error();
    Report(layers.error());
    return {};
  }
  foreign_ = std::move(*layers);
  for (Error& problem : problems) {
    const std::string_view rule = RuleOfReader(problem.rule);
    if (rule.empty() || (incomplete_ && rule == "LIN-missing-part")) continue;
    problem.rule = rule;
    Report(problem);
  }
  for (const LogicalLayer& layer : foreign_->layers()) foreign_by_name_[layer.name] = &layer;
  return {};
}

const LogicalLayer* VerifyContext::FindForeign(std::string_view name) const {
  const auto found = foreign_by_name_.find(name);
  return found == foreign_by_name_.end() ? nullptr : found->second;
}

std::vector<Finding> VerifyContext::TakeFindings() {
  SortFindings(findings_);
  return std::move(findings_);
}

}  // namespace slim
