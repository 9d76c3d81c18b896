// Float tensors that belong to no linear layer and that a target outside the Ascend family has no
// place for. Internal to convert/.
#pragma once

#include <string>

#include "base/result.h"
#include "checkpoint/layer_reader.h"

namespace slim {

// Both say why the tensor is left out, and nothing where it is kept.

// "x.module.weight" beside "x.weight": what MindIE reads, equal to the original or refused
// (NORM-copy-differs).
Result<std::string> ReasonOfNormCopy(const LayerReader& reader, const LogicalLayer& layer);

// The above, and the bias of a norm: one with a value that is not zero is refused (CV-norm-bias)
// unless `allow_loss`.
Result<std::string> ReasonToDrop(const LayerReader& reader, const LogicalLayer& layer,
                                 bool allow_loss);

}  // namespace slim
