// Float tensors that belong to no linear layer and that a target outside the Ascend family has no
// place for. Internal to convert/.
#pragma once

#include "base/result.h"
#include "checkpoint/layer_reader.h"

namespace slim {

// "x.module.weight" beside "x.weight": what MindIE reads, equal to the original or refused
// (NORM-copy-differs).
Result<bool> IsNormCopy(const LayerReader& reader, const LogicalLayer& layer);

// The bias that anti-outlier methods give an RMSNorm; the float architectures have none. One with a
// value that is not zero is refused (CV-norm-bias) unless `allow_loss`.
Result<bool> IsNormBias(const LayerReader& reader, const LogicalLayer& layer, bool allow_loss);

// Why the tensor is left out; empty where it is kept. The two above.
Result<std::string> ReasonToDrop(const LayerReader& reader, const LogicalLayer& layer,
                                 bool allow_loss);

}  // namespace slim
