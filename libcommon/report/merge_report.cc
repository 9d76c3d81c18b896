#include "report/merge_report.h"

#include <fmt/format.h>

#include "base/text.h"
#include "base/version.h"

namespace slim {

std::string MergeSummaryText(const MergeSummary& summary) {
  return fmt::format("wrote {}: {} tensors of {} parts, {}", Escape(summary.output),
                     summary.tensors, summary.parts, HumanSize(summary.bytes));
}

Json MergeSummaryJson(const MergeSummary& summary) {
  Json json = Json::Object();
  json.Set("tool", "slim-quant").Set("version", kVersion).Set("kind", "merge");
  json.Set("output", summary.output).Set("parts", summary.parts);
  return json.Set("tensors", summary.tensors).Set("bytes", summary.bytes);
}

}  // namespace slim
