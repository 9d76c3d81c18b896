#include "report/verify_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "report/html_page.h"
#include "report/markup.h"
#include "report/verify_text.h"

namespace slim {
namespace {

// "model.layers.12" of "model.layers.12.mlp.up_proj.weight"; of other tensors the module; of a file
// without a tensor its name.
std::string RowOf(const VerifyReport& report, const Finding& finding) {
  const std::string& name = finding.tensor;
  if (name.empty()) {
    const std::string_view path = RelativePath(report, finding);
    return path.empty() ? "(checkpoint)" : std::string(path);
  }
  for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
    const size_t end = name.find_first_not_of("0123456789", dot + 1);
    if (end == dot + 1) continue;
    if (end == std::string::npos || name[end] == '.') return name.substr(0, end);
  }
  const size_t last = name.rfind('.');
  return last == std::string::npos ? name : name.substr(0, last);
}

struct NaturalOrder {
  bool operator()(const std::string& a, const std::string& b) const { return NaturalLess(a, b); }
};

// Rows by name, columns by the order of the rules.
std::string MatrixHtml(const VerifyReport& report) {
  std::vector<std::string_view> rules;
  std::map<std::string, std::map<std::string_view, uint64_t>, NaturalOrder> rows;
  std::map<std::string_view, Severity> severity;
  for (const Finding& finding : report.findings) {
    if (rules.empty() || rules.back() != finding.rule) rules.push_back(finding.rule);
    severity[finding.rule] = finding.severity;
    ++rows[RowOf(report, finding)][finding.rule];
  }
  std::string out =
      "<h3>Layers and rules</h3>\n<div class=\"scroll\"><table><thead><tr><th>layer</th>";
  for (const std::string_view rule : rules)
    out += fmt::format("<th class=\"{}\">{}</th>", SeverityName(severity[rule]), rule);
  out += "</tr></thead><tbody>\n";
  for (const auto& [row, counts] : rows) {
    out += fmt::format("<tr><th>{}</th>", EscapeMarkup(row));
    for (const std::string_view rule : rules) {
      const auto found = counts.find(rule);
      out += found == counts.end() ? std::string("<td></td>")
                                   : fmt::format("<td class=\"count {}\">{}</td>",
                                                 SeverityName(severity[rule]), found->second);
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string FindingHtml(const VerifyReport& report, const Finding& finding) {
  const std::string_view path = RelativePath(report, finding);
  std::string text;
  if (!path.empty()) text += std::string(path) + ": ";
  if (!finding.tensor.empty()) text += finding.tensor + ": ";
  text += finding.message;
  if (!finding.loader.empty()) text += fmt::format(" [{}]", LoaderPhrase(finding));
  return fmt::format("<li>{}</li>\n", EscapeMarkup(text));
}

// Findings [begin, end) are of one rule.
std::string GroupHtml(const VerifyReport& report, size_t begin, size_t end) {
  const Finding& first = report.findings[begin];
  const Rule* rule = FindRule(first.rule);
  std::string out = fmt::format(
      "<details{}><summary><span class=\"{}\">{}</span> <code>{}</code> {} ({})</summary>\n",
      first.severity == Severity::kError ? " open" : "", SeverityName(first.severity),
      SeverityName(first.severity), EscapeMarkup(first.rule),
      EscapeMarkup(rule == nullptr ? first.message : rule->text), end - begin);
  if (!first.why.empty()) out += fmt::format("<p class=\"why\">{}</p>\n", EscapeMarkup(first.why));
  if (!first.fix.empty()) out += fmt::format("<p>Fix: {}</p>\n", EscapeMarkup(first.fix));
  out += "<ul>\n";
  for (size_t i = begin; i < end; ++i) out += FindingHtml(report, report.findings[i]);
  return out + "</ul></details>\n";
}

std::string CountsHtml(const VerifyReport& report) {
  std::string out = fmt::format("<span class=\"{}\">{}</span>", report.ok() ? "ok" : "error",
                                report.ok() ? "ok" : "not ok");
  for (const Severity severity : {Severity::kError, Severity::kWarning, Severity::kNote}) {
    const uint64_t count = report.Count(severity);
    if (count == 0) continue;
    out += fmt::format(", <span class=\"{0}\">{1} {0}{2}</span>", SeverityName(severity), count,
                       count == 1 ? "" : "s");
  }
  return out;
}

std::string ReportHtml(const VerifyReport& report) {
  std::string facts(report.manifest.empty() ? report.DialectName() : "manifest");
  if (!report.quant_type.empty()) facts += ", " + report.quant_type;
  if (!report.loaders.empty()) facts += ", for " + Join(report.loaders, " and ");
  facts += fmt::format(", {} tensors, {}{}{}", report.tensors, HumanSize(report.bytes),
                       report.deep ? ", every value read" : "", report.strict ? ", strict" : "");
  std::string out = fmt::format(
      "<section>\n<h2>{}</h2>\n<p class=\"verdict\">{}</p>\n<p class=\"facts\">{}</p>\n",
      EscapeMarkup(report.path), CountsHtml(report), EscapeMarkup(facts));
  if (!report.findings.empty()) out += MatrixHtml(report) + "<h3>Findings</h3>\n";
  for (size_t begin = 0; begin < report.findings.size();) {
    size_t end = begin;
    while (end < report.findings.size() && report.findings[end].rule == report.findings[begin].rule)
      ++end;
    out += GroupHtml(report, begin, end);
    begin = end;
  }
  return out + "</section>\n";
}

}  // namespace

std::string VerifyHtml(const std::vector<VerifyOutcome>& outcomes) {
  const auto good = std::count_if(outcomes.begin(), outcomes.end(), [](const VerifyOutcome& one) {
    return one.report() != nullptr && one.report()->ok();
  });
  HtmlPage page{.tool = "slim-verify",
                .title = fmt::format("{} of {} ok", good, outcomes.size()),
                .heading = fmt::format("{} of {} checkpoints ok", good, outcomes.size()),
                .style = {},
                .body = {}};
  std::string& out = page.body;
  for (const VerifyOutcome& outcome : outcomes) {
    if (outcome.report() != nullptr) {
      out += ReportHtml(*outcome.report());
    } else {
      out += fmt::format(
          "<section>\n<h2>{}</h2>\n<p class=\"verdict error\">not judged</p>\n<p>{}</p>\n"
          "</section>\n",
          EscapeMarkup(outcome.path), EscapeMarkup(outcome.error()->ToString()));
    }
  }
  return DumpHtml(page);
}

}  // namespace slim
