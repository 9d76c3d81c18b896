#include "output.h"

#include "report/verify_ci.h"
#include "report/verify_html.h"
#include "report/verify_json.h"
#include "report/verify_sarif.h"

namespace slim {

std::string JsonText(const Json& json) { return DumpJson(json, {.indent = 2}) + "\n"; }

VerifyTextStyle TextStyle(const VerifyCommand& command, const Console& console) {
  VerifyTextStyle style;
  style.verbose = console.level() == LogLevel::kDebug;
  if (!command.output.empty()) return style;
  style.paint = [&console](std::string_view word) {
    return console.Paint(word, word == "error" ? Style::kRed
                               : word == "ok"  ? Style::kGreen
                                               : Style::kYellow);
  };
  return style;
}

Result<std::string> ListText(const VerifyCommand& command, bool json) {
  using Mode = VerifyCommand::Mode;
  if (command.mode == Mode::kListTensors) {
    const std::string& path = command.paths.front();
    SLIM_ASSIGN(const std::vector<TensorRow> rows, ListTensors(path));
    return json ? JsonText(TensorListJson(path, rows)) : TensorListText(rows);
  }
  if (command.mode == Mode::kListProfiles)
    return json ? JsonText(ProfilesJson()) : ProfileListText();
  if (json) return JsonText(RulesJson(command.rules));
  return command.mode == Mode::kExplain ? RuleText(*command.rules.front()) : RuleListText();
}

std::string ReportText(const VerifyCommand& command, const std::vector<VerifyOutcome>& outcomes,
                       const Console& console) {
  switch (command.format) {
    case VerifyFormat::kText:
      return VerifyText(outcomes, TextStyle(command, console));
    case VerifyFormat::kJson:
      return JsonText(VerifyJson(outcomes));
    case VerifyFormat::kSarif:
      return JsonText(VerifySarif(outcomes));
    case VerifyFormat::kJUnit:
      return VerifyJUnit(outcomes);
    case VerifyFormat::kGitHub:
      return VerifyGitHub(outcomes);
    case VerifyFormat::kHtml:
      return VerifyHtml(outcomes);
  }
  return "";
}

Status WriteReport(const VerifyCommand& command, const std::string& text, Console& console) {
  if (!command.output.empty()) return WriteFileAtomically(command.output, text, command.write);
  return command.quiet ? Status() : console.Print(text);
}

}  // namespace slim
