#include "report/verify_ci.h"

#include <fmt/format.h>

#include "base/text.h"
#include "report/markup.h"

namespace slim {
namespace {

std::string FindingText(const Finding& finding) {
  std::string text = Escape(finding.path) + ": ";
  if (!finding.tensor.empty()) text += Escape(finding.tensor) + ": ";
  return text + finding.message;
}

bool Fails(const VerifyReport& report, Severity severity) {
  return severity == Severity::kError || (report.strict && severity == Severity::kWarning);
}

bool WasLookedAt(const VerifyReport& report, const Rule& rule) {
  if ((rule.depth == RuleDepth::kManifest) != !report.manifest.empty()) return false;
  if (rule.depth == RuleDepth::kDeep && !report.deep) return false;
  if (!report.manifest.empty()) return true;
  return AppliesTo(rule, report.dialect, report.single_file);
}

struct Suite {
  std::string cases;
  uint64_t tests = 0;
  uint64_t failures = 0;
};

void AddCase(const VerifyReport& report, const Rule& rule, Suite& suite) {
  std::vector<const Finding*> findings;
  bool failed = false;
  for (const Finding& finding : report.findings) {
    if (finding.rule != rule.id) continue;
    findings.push_back(&finding);
    failed = failed || Fails(report, finding.severity);
  }
  if (findings.empty() && !WasLookedAt(report, rule)) return;
  ++suite.tests;
  suite.cases += fmt::format("    <testcase classname=\"{}\" name=\"{}: {}\"",
                             EscapeMarkup(report.path), rule.id, EscapeMarkup(rule.text));
  if (findings.empty()) {
    suite.cases += "/>\n";
    return;
  }
  std::string text;
  for (const Finding* finding : findings) text += FindingText(*finding) + "\n";
  if (failed) {
    ++suite.failures;
    suite.cases += fmt::format(
        ">\n      <failure type=\"{}\" message=\"{}\">{}why: {}\nfix: {}\n"
        "</failure>\n    </testcase>\n",
        rule.id, EscapeMarkup(FindingText(*findings.front())), EscapeMarkup(text),
        EscapeMarkup(rule.why), EscapeMarkup(rule.fix));
  } else {
    suite.cases +=
        fmt::format(">\n      <system-out>{}</system-out>\n    </testcase>\n", EscapeMarkup(text));
  }
}

// Workflow commands end at a line end; in a property ':' and ',' mean something, too.
std::string EscapeCommand(std::string_view text, bool property) {
  std::string out;
  for (const char c : text) {
    const bool special = c == '%' || c == '\r' || c == '\n' || (property && (c == ':' || c == ','));
    out += special ? fmt::format("%{:02X}", static_cast<unsigned char>(c)) : std::string(1, c);
  }
  return out;
}

std::string Command(Severity severity, std::string_view path, std::string_view title,
                    std::string_view message) {
  const std::string_view word = severity == Severity::kNote ? "notice" : SeverityName(severity);
  return fmt::format("::{} file={},title={}::{}\n", word, EscapeCommand(path, true),
                     EscapeCommand(title, true), EscapeCommand(message, false));
}

}  // namespace

std::string VerifyJUnit(const std::vector<VerifyOutcome>& outcomes) {
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (const VerifyOutcome& outcome : outcomes) {
    const std::string path = EscapeMarkup(outcome.path);
    if (outcome.report() == nullptr) {
      out += fmt::format(
          "  <testsuite name=\"{0}\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\">\n"
          "    <testcase classname=\"{0}\" name=\"is a checkpoint that can be read\">\n"
          "      <error type=\"{1}\" message=\"{2}\"/>\n    </testcase>\n  </testsuite>\n",
          path, EscapeMarkup(outcome.error()->rule), EscapeMarkup(outcome.error()->ToString()));
      continue;
    }
    Suite suite;
    for (const Rule& rule : AllRules()) AddCase(*outcome.report(), rule, suite);
    out += fmt::format(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"0\">\n{}"
        "  </testsuite>\n",
        path, suite.tests, suite.failures, suite.cases);
  }
  return out + "</testsuites>\n";
}

std::string VerifyGitHub(const std::vector<VerifyOutcome>& outcomes) {
  std::string out;
  for (const VerifyOutcome& outcome : outcomes) {
    if (outcome.report() == nullptr) {
      out += Command(Severity::kError, outcome.path, outcome.error()->rule,
                     outcome.error()->ToString());
      continue;
    }
    for (const Finding& finding : outcome.report()->findings) {
      const std::string subject = finding.tensor.empty() ? "" : Escape(finding.tensor) + ": ";
      const std::string fix = finding.fix.empty() ? "" : "\nfix: " + finding.fix;
      out += Command(finding.severity, finding.path, finding.rule, subject + finding.message + fix);
    }
  }
  return out;
}

}  // namespace slim
