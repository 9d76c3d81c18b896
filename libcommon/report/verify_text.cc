#include "report/verify_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace slim {
namespace {

std::string_view EffectPhrase(Effect effect) {
  switch (effect) {
    case Effect::kRefuses:
      return "refuses it";
    case Effect::kCrashes:
      return "crashes while loading";
    case Effect::kCrashesForward:
      return "crashes at the first forward pass";
    case Effect::kLoadsWrong:
      return "loads it and computes wrong numbers";
    case Effect::kDegrades:
      return "loads it and works worse";
    case Effect::kNone:
      break;
  }
  return "";
}

std::string FindingLine(const VerifyReport& report, const Finding& finding) {
  std::string line = "  ";
  const std::string_view path = RelativePath(report, finding);
  if (!path.empty()) line += Escape(path) + ": ";
  if (!finding.tensor.empty()) line += Escape(finding.tensor) + ": ";
  line += finding.message;
  if (!finding.loader.empty()) line += fmt::format(" [{}]", LoaderPhrase(finding));
  return line + "\n";
}

std::string Paint(const VerifyTextStyle& style, std::string_view word) {
  return style.paint ? style.paint(word) : std::string(word);
}

// Findings [begin, end) are of one rule.
std::string GroupText(const VerifyReport& report, size_t begin, size_t end,
                      const VerifyTextStyle& style) {
  const Finding& first = report.findings[begin];
  const Rule* rule = FindRule(first.rule);
  std::string text =
      fmt::format("{} [{}] {} ({})\n", Paint(style, SeverityName(first.severity)), first.rule,
                  rule == nullptr ? first.message : rule->text, end - begin);
  const size_t shown = style.verbose ? end - begin : std::min(end - begin, style.findings_per_rule);
  for (size_t i = begin; i < begin + shown; ++i) text += FindingLine(report, report.findings[i]);
  if (begin + shown < end) text += fmt::format("  and {} more\n", end - begin - shown);
  if (!first.why.empty()) text += fmt::format("  why: {}\n", first.why);
  if (!first.fix.empty()) text += fmt::format("  fix: {}\n", first.fix);
  return text;
}

std::string Counted(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string Verdict(const VerifyReport& report, const VerifyTextStyle& style) {
  std::vector<std::string> parts;
  const uint64_t errors = report.Count(Severity::kError);
  const uint64_t warnings = report.Count(Severity::kWarning);
  const uint64_t notes = report.Count(Severity::kNote);
  if (report.ok()) parts.push_back(Paint(style, "ok"));
  if (errors > 0) parts.push_back(Counted(errors, "error"));
  if (warnings > 0) parts.push_back(Counted(warnings, "warning"));
  if (notes > 0 && style.verbose) parts.push_back(Counted(notes, "note"));
  if (report.accepted > 0) parts.push_back(fmt::format("{} accepted", report.accepted));
  std::vector<std::string> facts = {
      std::string(report.manifest.empty() ? report.DialectName() : "manifest")};
  if (!report.quant_type.empty()) facts.push_back(Escape(report.quant_type));
  if (!report.loaders.empty()) facts.push_back("for " + Join(report.loaders, " and "));
  // A sha256sum list knows no tensors.
  if (report.tensors > 0 || report.manifest.empty())
    facts.push_back(Counted(report.tensors, "tensor"));
  facts.push_back(HumanSize(report.bytes));
  return fmt::format("{}: {} ({})\n", Escape(report.path), Join(parts, ", "), Join(facts, ", "));
}

}  // namespace

std::string VerifyText(const VerifyReport& report, const VerifyTextStyle& style) {
  std::string text;
  const auto& findings = report.findings;
  for (size_t begin = 0; begin < findings.size();) {
    size_t end = begin;
    while (end < findings.size() && findings[end].rule == findings[begin].rule &&
           findings[end].severity == findings[begin].severity)
      ++end;
    if (findings[begin].severity != Severity::kNote || style.verbose)
      text += GroupText(report, begin, end, style);
    begin = end;
  }
  return text + Verdict(report, style);
}

std::string VerifyText(const std::vector<VerifyOutcome>& outcomes, const VerifyTextStyle& style) {
  std::string text;
  for (const VerifyOutcome& outcome : outcomes) {
    if (outcome.report() != nullptr) text += VerifyText(*outcome.report(), style);
  }
  return text;
}

std::string LoaderPhrase(const Finding& finding) {
  if (finding.loader.empty()) return "";
  return fmt::format("{} {}", finding.loader, EffectPhrase(finding.effect));
}

std::string ManifestsText(const std::vector<ManifestSummary>& written) {
  std::string text;
  for (const ManifestSummary& summary : written) {
    text +=
        fmt::format("{}: {}, {}, {}\n", Escape(summary.manifest), Counted(summary.files, "file"),
                    Counted(summary.tensors, "tensor"), HumanSize(summary.bytes));
  }
  return text;
}

std::string RuleListText() {
  std::string text;
  for (const Rule& rule : AllRules()) {
    const std::string_view flag = RuleDepthFlag(rule.depth);
    text += fmt::format("{:<32} {:<8} {}{}\n", rule.id, SeverityName(rule.severity), rule.text,
                        flag.empty() ? "" : fmt::format(" ({})", flag));
  }
  return text;
}

std::string RuleText(const Rule& rule) {
  std::string where = Join(DialectsOf(rule), ", ");
  if (const auto types = TypesOf(rule); !types.empty()) where += "; " + Join(types, ", ");
  if (const auto loaders = LoadersOf(rule); !loaders.empty())
    where = "with --for " + Join(loaders, ", ");
  const std::string_view flag = RuleDepthFlag(rule.depth);
  return fmt::format(
      "{} ({}{}; {})\n  {}\n  why: {}\n  fix: {}\n", rule.id, SeverityName(rule.severity),
      flag.empty() ? "" : fmt::format(", with {}", flag), where, rule.text, rule.why, rule.fix);
}

std::string ProfileListText() {
  std::string text;
  for (const LoaderRow& loader : Loaders()) {
    text += fmt::format("{:<16} {}\n", loader.name, loader.summary);
    for (const LoaderVersionRow& row : LoaderVersions()) {
      if (row.loader != loader.loader) continue;
      text += fmt::format("  @{:<13} {}{}\n", row.version, row.summary,
                          row.is_default ? " (default)" : "");
    }
  }
  return text + fmt::format("chips: {}\n", Join(ChipNames(), ", "));
}

std::string TensorListText(const std::vector<TensorRow>& rows) {
  std::string text;
  for (const TensorRow& row : rows) {
    text += fmt::format("{}\t{}\t{}\t{}\t{}\t{}\n", Escape(row.name), DTypeName(row.dtype),
                        ShapeText(row.shape), row.bytes,
                        row.label.empty() ? "-" : Escape(row.label), Escape(row.shard));
  }
  return text;
}

}  // namespace slim
