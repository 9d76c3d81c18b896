#include "quant/output_check.h"

#include <fmt/format.h>

#include "base/text.h"
#include "verify/verify.h"

namespace slim {

Status JudgeForLoaders(const std::string& path, const QuantOptions& options, Listener& listener) {
  VerifyOptions verify;
  verify.threads = options.threads;
  verify.targets = options.targets;
  SLIM_ASSIGN(const VerifyReport report, VerifyCheckpoint(path, verify, SilentListener()));
  const Finding* first = nullptr;
  uint64_t others = 0;
  for (const Finding& finding : report.findings) {
    if (finding.loader.empty() || finding.severity != Severity::kError) continue;
    if (finding.rule == "LD-permissions") {
      listener.Warning(fmt::format("{} {}: {}", finding.loader, finding.rule, finding.message));
      continue;
    }
    others += first == nullptr ? 0 : 1;
    if (first == nullptr) first = &finding;
  }
  if (first == nullptr) return {};
  std::string message = fmt::format("--for {}: {}", first->loader, first->rule);
  if (!first->tensor.empty()) message += " " + Quote(first->tensor);
  message += fmt::format(" {} ({})", first->message, EffectName(first->effect));
  if (others > 0) message += fmt::format(", and {} findings more", others);
  return UsageError(std::move(message), first->fix);
}

Status VerifyWritten(const std::string& path, const QuantOptions& options) {
  VerifyOptions verify;
  verify.threads = options.threads;
  SLIM_ASSIGN(const VerifyReport report, VerifyCheckpoint(path, verify, SilentListener()));
  for (const Finding& finding : report.findings) {
    if (finding.severity != Severity::kError) continue;
    return InternalError(fmt::format("what was written does not pass {}: {} {}", finding.rule,
                                     Quote(finding.tensor), finding.message));
  }
  return {};
}

}  // namespace slim
