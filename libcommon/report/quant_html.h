// What slim-quant did as one HTML page (slim-quant --report): sizes, ranges of activations before
// and after smoothing, what quantization cost each weight, the scales chosen, what stayed float and
// why. The numbers are those of QuantSummaryJson, four digits each; the experts of a block share a
// row, which shows the worst of them.
#pragma once

#include <string>

#include "quant/plan.h"
#include "quant/quantize.h"

namespace slim {

// `summary` has measurements.
std::string QuantHtml(const QuantSummary& summary, const QuantPlan& plan,
                      const QuantOptions& options);

}  // namespace slim
