// What slim-verify found as one HTML page that needs nothing else: the verdict of every path, a
// matrix of layers and rules, and every finding with its reason and its fix.
#pragma once

#include <string>
#include <vector>

#include "verify/verify.h"

namespace slim {

std::string VerifyHtml(const std::vector<VerifyOutcome>& outcomes);

}  // namespace slim
