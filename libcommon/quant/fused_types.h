// Whether linears that loaders compute as one layer get one type. Decides nothing.
#pragma once

#include "base/result.h"
#include "quant/plan.h"

namespace slim {

// A UsageError that names two linears of a group with different types, and the whole group.
Status CheckFusedTypes(const QuantPlan& plan);

}  // namespace slim
