#include "convert/plan_receipt.h"

#include <algorithm>

namespace slim {

void RecordLoss(std::span<const ConvertPlan* const> plans, Receipt& receipt) {
  LossClass loss = LossClass::kExact;
  const TensorPlan* worst = nullptr;
  const TensorPlan* noisiest = nullptr;
  for (const ConvertPlan* plan : plans) {
    loss = std::max(loss, plan->loss);
    const TensorPlan* tensor = plan->WorstTensor();
    if (tensor != nullptr &&
        (worst == nullptr || tensor->worst_relative_error > worst->worst_relative_error))
      worst = tensor;
    tensor = plan->NoisiestTensor();
    if (tensor != nullptr && (noisiest == nullptr || *tensor->sqnr_db < *noisiest->sqnr_db))
      noisiest = tensor;
  }
  receipt.loss_class = LossClassName(loss);
  if (worst != nullptr && (worst->worst_relative_error > 0 || noisiest == nullptr)) {
    receipt.loss.Set("worst_relative_error", Json::Real(worst->worst_relative_error));
    receipt.loss.Set("tensor", worst->name);
  }
  if (noisiest != nullptr) {
    receipt.loss.Set("lowest_weight_sqnr_db", Json::Real(*noisiest->sqnr_db));
    receipt.loss.Set("noisiest_weight", noisiest->source);
  }
}

}  // namespace slim
