#include <fmt/format.h>

#include "report/diff_figures.h"
#include "report/diff_report.h"
#include "report/markup.h"

namespace slim {

std::string DiffReportJUnit(const DiffResult& result) {
  const std::string suite = EscapeMarkup(result.second.path);
  std::string cases;
  uint64_t tests = 0;
  uint64_t failures = 0;
  const auto add = [&](std::string_view name, bool met, std::string_view text) {
    ++tests;
    cases += fmt::format("    <testcase classname=\"{}\" name=\"{}\"", suite, EscapeMarkup(name));
    if (met) {
      cases += fmt::format(">\n      <system-out>{}</system-out>\n    </testcase>\n",
                           EscapeMarkup(text));
      return;
    }
    ++failures;
    cases += fmt::format(">\n      <failure type=\"limit\" message=\"{}\"/>\n    </testcase>\n",
                         EscapeMarkup(text));
  };
  if (result.run) {
    const bool finite = !result.non_finite;
    add("logits are finite", finite, finite ? "no NaN, no infinity" : NonFiniteText(result));
  }
  for (const ThresholdResult& threshold : result.thresholds)
    add(fmt::format("--{} {}", threshold.kind->flag, threshold.limit), threshold.met,
        ThresholdText(threshold));
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
      "  <testsuite name=\"slim-diff {}\" tests=\"{}\" failures=\"{}\" errors=\"0\" "
      "skipped=\"0\">\n{}  </testsuite>\n</testsuites>\n",
      suite, tests, failures, cases);
}

}  // namespace slim
