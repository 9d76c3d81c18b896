// What slim-verify found in the forms that build servers show: JUnit XML (a case a rule) and GitHub
// workflow commands (an annotation a finding).
#pragma once

#include <string>
#include <vector>

#include "verify/verify.h"

namespace slim {

// One suite a path. Of the rules that apply to its dialect and were looked at, each is a case: with
// findings that fail the run it failed, with others they are its output. A path without a report is
// a suite with one case in error.
std::string VerifyJUnit(const std::vector<VerifyOutcome>& outcomes);

// "::error file=F,title=RULE::message", "::warning …", "::notice …"; a line a finding.
std::string VerifyGitHub(const std::vector<VerifyOutcome>& outcomes);

}  // namespace slim
