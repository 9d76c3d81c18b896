// What slim-verify found, and its rules, as JSON (schemas/verify_report.schema.json).
#pragma once

#include <string>
#include <vector>

#include "json/json.h"
#include "verify/manifest_check.h"
#include "verify/tensor_list.h"
#include "verify/verify.h"

namespace slim {

// {"tool", "version", "reports": […]}
Json VerifyJson(const std::vector<VerifyOutcome>& outcomes);
// {"tool", "version", "manifests": […]}
Json ManifestsJson(const std::vector<ManifestSummary>& written);
// {"tool", "version", "rules": […]}
Json RulesJson(const std::vector<const Rule*>& rules);
// What --for, --chip and --list-profiles name.
Json ProfilesJson();
// {"tool", "version", "path", "tensors": […]}
Json TensorListJson(const std::string& path, const std::vector<TensorRow>& rows);

}  // namespace slim
