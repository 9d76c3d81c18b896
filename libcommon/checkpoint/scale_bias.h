// scale_bias of a W4A8_DYNAMIC layer of an open checkpoint, computed from weight and scales.
#pragma once

#include <string>

#include "base/result.h"
#include "checkpoint/checkpoint.h"

namespace slim {

// F32 [n, columns] as ScaleBiasFormOf() says: factor · Σ q · weight_scale (· weight_scale_second of
// the group), each sum rounded once. `packed`: two rows a byte in the source. Facts:
// formats.md 6.6.
Result<Tensor> ScaleBiasOf(const Checkpoint& source, const std::string& module, bool packed);

}  // namespace slim
