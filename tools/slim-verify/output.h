// Where slim-verify's answers go, and in which form.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/console.h"
#include "json/json.h"
#include "options.h"
#include "report/verify_text.h"

namespace slim {

std::string JsonText(const Json& json);
// Colours where standard output has them; notes and every finding under --verbose.
VerifyTextStyle TextStyle(const VerifyCommand& command, const Console& console);
// The answer of --list, --list-rules and --explain.
Result<std::string> ListText(const VerifyCommand& command, bool json);
// The report in the form that was asked for.
std::string ReportText(const VerifyCommand& command, const std::vector<VerifyOutcome>& outcomes,
                       const Console& console);
// To --output, else to standard output unless --quiet.
Status WriteReport(const VerifyCommand& command, const std::string& text, Console& console);

}  // namespace slim
