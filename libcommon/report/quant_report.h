// What slim-quant planned and did, as text for people and as JSON (schemas/quant_plan.schema.json,
// quant_summary.schema.json).
#pragma once

#include <string>

#include "json/json.h"
#include "quant/plan.h"
#include "quant/quantize.h"

namespace slim {

// Lines with equal type, reason and shape are grouped over the blocks:
// "model.layers.{0..3}.self_attn.q_proj".
std::string QuantPlanText(const QuantPlan& plan, const QuantOptions& options);
Json QuantPlanJson(const QuantPlan& plan, const QuantOptions& options);

// One line without a newline.
std::string QuantSummaryText(const QuantSummary& summary);
// With measurements: "linears" holds plan and numbers of each.
Json QuantSummaryJson(const QuantSummary& summary, const QuantPlan& plan,
                      const QuantOptions& options);

// "iter_smooth (alpha 0.9)", "none".
std::string SmoothText(const Recipe& recipe);

}  // namespace slim
