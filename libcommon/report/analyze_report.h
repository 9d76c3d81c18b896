// The ranking of slim-quant analyze, for people with a block to paste into a recipe, and as JSON
// (schemas/quant_analysis.schema.json).
#pragma once

#include <cstdint>
#include <string>

#include "json/json.h"
#include "quant/analyze.h"

namespace slim {

std::string AnalysisText(const Analysis& analysis, uint64_t topk);
Json AnalysisJson(const Analysis& analysis, uint64_t topk);

}  // namespace slim
