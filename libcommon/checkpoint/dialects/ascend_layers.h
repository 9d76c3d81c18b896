// The layers of ascendv1, ascendv1-v0, mindie and hf: what the description labels, in the logical
// form of Checkpoint::ReadLinear().
#pragma once

#include <memory>

#include "checkpoint/layer_reader.h"

namespace slim {

// Refuses what belongs to a layer and cannot be expressed by it (online rotations, low-rank
// residuals, smoothing of an input): CV-scheme with the tensor. KV-cache and attention scales are
// dropped: no weight depends on them.
Result<std::unique_ptr<LayerReader>> OpenAscendLayers(const Checkpoint& source);

}  // namespace slim
