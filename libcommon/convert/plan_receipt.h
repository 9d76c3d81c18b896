// What a receipt tells of the losses of a conversion's plans. Internal to convert/.
#pragma once

#include <span>

#include "convert/plan.h"
#include "convert/receipt.h"

namespace slim {

// loss_class and loss, over all plans: the largest relative error of a tensor, and the lowest SQNR
// of a weight whose codes were computed anew.
void RecordLoss(std::span<const ConvertPlan* const> plans, Receipt& receipt);

}  // namespace slim
