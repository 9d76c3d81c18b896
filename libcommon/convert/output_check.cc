#include "convert/output_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/text.h"
#include "linear/linear_record.h"

namespace slim {
namespace {

enum class Blame : uint8_t { kSource, kUnknown, kOurs };

struct Verdict {
  Blame blame = Blame::kOurs;
  std::optional<Finding> cause;  // another finding in the source, of another ecosystem's rules
};

const Finding* FirstError(const VerifyReport& report, std::string_view rule) {
  const auto found = std::ranges::find_if(report.findings, [&](const Finding& finding) {
    return finding.severity == Severity::kError && (rule.empty() || finding.rule == rule);
  });
  return found == report.findings.end() ? nullptr : &*found;
}

// "model.layers.0.mlp" of "model.layers.0.mlp.up_proj.weight".
std::string_view ParentOf(std::string_view tensor) {
  return SplitTensorName(SplitTensorName(tensor).module).module;
}

Verdict JudgeSource(const Finding& finding, const std::string& source, int threads) {
  VerifyOptions verify;
  verify.threads = threads;
  verify.rules = {finding.rule};
  const auto same = VerifyCheckpoint(source, verify, SilentListener());
  if (!same.ok()) return {Blame::kUnknown, {}};
  if (FirstError(*same, finding.rule) != nullptr) return {Blame::kSource, {}};
  if (!TraitsOf(same->dialect).is_foreign) return {Blame::kOurs, {}};
  // Its tensors have other names and rules: the values decide.
  verify.rules.clear();
  verify.deep = true;
  const auto all = VerifyCheckpoint(source, verify, SilentListener());
  if (!all.ok()) return {Blame::kUnknown, {}};
  if (const Finding* error = FirstError(*all, ""); error != nullptr)
    return {Blame::kSource, *error};
  // A warning about the layer or one beside it (q/k/v, gate/up) explains it, too.
  const auto beside = std::ranges::find_if(all->findings, [&](const Finding& other) {
    return other.severity == Severity::kWarning && !other.tensor.empty() &&
           ParentOf(other.tensor) == ParentOf(finding.tensor);
  });
  if (beside != all->findings.end()) return {Blame::kSource, *beside};
  return {Blame::kOurs, {}};
}

}  // namespace

Error OutputRefusal(const Finding& finding, const std::string& source, const std::string& output,
                    int threads) {
  const Verdict verdict = JudgeSource(finding, source, threads);
  const Finding& told = verdict.cause ? *verdict.cause : finding;
  Error error = verdict.blame == Blame::kOurs ? InternalError("") : InputError(told.rule, "");
  error.rule = told.rule;
  error.tensor = told.tensor;
  error.hint = told.fix;
  error.path = source;
  switch (verdict.blame) {
    case Blame::kSource:
      error.message = fmt::format("the source is not fit for conversion: {}", told.message);
      break;
    case Blame::kUnknown:
      error.message = fmt::format(
          "the output would be wrong, and slim-verify cannot tell whether the source is: {}",
          told.message);
      break;
    case Blame::kOurs:
      error.message = fmt::format("the output would be wrong, the source is not: {}", told.message);
      error.hint = "an error of slim-convert: please report it";
      error.path = output;
      break;
  }
  return error;
}

Status CheckOutput(const std::string& path, const std::string& source, const std::string& output,
                   int threads, Listener& listener) {
  VerifyOptions verify;
  verify.threads = threads;
  SLIM_ASSIGN(const VerifyReport report, VerifyCheckpoint(path, verify, listener));
  if (const Finding* error = FirstError(report, ""); error != nullptr)
    return OutputRefusal(*error, source, output, threads);
  std::map<std::string, uint64_t> warnings;
  for (const Finding& finding : report.findings) {
    if (finding.severity == Severity::kWarning && ++warnings[finding.rule] == 1) {
      const std::string tensor =
          finding.tensor.empty() ? "" : fmt::format("tensor {}: ", Quote(finding.tensor));
      listener.Warning(
          fmt::format("{}{} [{}]; {}", tensor, finding.message, finding.rule, finding.fix));
    }
  }
  for (const auto& [rule, count] : warnings) {
    if (count > 1) listener.Warning(fmt::format("[{}] {} times in all", rule, count));
  }
  return {};
}

}  // namespace slim
