// DeepSeek-style FP8: e4m3 weights with one F32 scale for each block of 128 × 128, which multiplies
// although it is called weight_scale_inv. Facts: ecosystem.md 1.3 E.
#pragma once

#include <memory>

#include "checkpoint/layer_reader.h"

namespace slim {

// Block sizes as config.json's weight_block_size says; weights with one scale a row (weight_scale
// [n, 1]) are read, too. The last blocks of a row and a column may be partial.
// `problems`: as InspectLayers().
Result<std::unique_ptr<LayerReader>> OpenFp8Block(const Checkpoint& source,
                                                  std::vector<Error>* problems = nullptr);

}  // namespace slim
