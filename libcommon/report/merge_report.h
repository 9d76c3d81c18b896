// What slim-quant merge did, for people and as JSON (schemas/merge_summary.schema.json).
#pragma once

#include <string>

#include "json/json.h"
#include "quant/shard.h"

namespace slim {

// One line without a newline.
std::string MergeSummaryText(const MergeSummary& summary);
Json MergeSummaryJson(const MergeSummary& summary);

}  // namespace slim
