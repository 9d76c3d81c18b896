// What slim-verify found, and its rules, as text for people. Names from files are escaped. Prints
// nothing itself.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "verify/manifest_check.h"
#include "verify/tensor_list.h"
#include "verify/verify.h"

namespace slim {

struct VerifyTextStyle {
  bool verbose = false;          // notes too, and every finding
  size_t findings_per_rule = 5;  // then "and N more"
  // Paints "error", "warning", "note" and "ok" on a terminal; may be empty.
  std::function<std::string(std::string_view word)> paint = {};
};

// Findings grouped by rule, then one verdict line: "PATH: ok (ascendv1, W8A8, 123 tensors,
// 4.1 MiB)" or "PATH: 3 errors, 1 warning (…)".
std::string VerifyText(const VerifyReport& report, const VerifyTextStyle& style);

// Of every path that has a report.
std::string VerifyText(const std::vector<VerifyOutcome>& outcomes, const VerifyTextStyle& style);

// What the loader does about the finding: "mindie@2.3 refuses it"; empty for findings about the
// files, whoever loads them.
std::string LoaderPhrase(const Finding& finding);

// One line a manifest: "PATH/slim_manifest.json: 12 files, 123 tensors, 4.1 MiB".
std::string ManifestsText(const std::vector<ManifestSummary>& written);

// One line a rule: id, severity, what is required; rules of --deep are marked.
std::string RuleListText();
std::string RuleText(const Rule& rule);
// The loaders of --for with their versions, the default one marked, and the chips.
std::string ProfileListText();

// Columns: name, dtype, shape, bytes, label ("-" without one), file; tab-separated, no heading.
std::string TensorListText(const std::vector<TensorRow>& rows);

}  // namespace slim
