// What slim-verify found as SARIF 2.1.0, which code hosts and editors read. One run for all paths;
// a path without a report is a notification of the run.
#pragma once

#include <vector>

#include "json/json.h"
#include "verify/verify.h"

namespace slim {

Json VerifySarif(const std::vector<VerifyOutcome>& outcomes);

}  // namespace slim
