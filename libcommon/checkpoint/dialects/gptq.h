// AutoGPTQ and GPTQModel (versions 1 and 2, act-order), and AutoAWQ's GEMM layout: weights packed
// into words with the inputs first. Facts: ecosystem.md 1.3 C and D.
#pragma once

#include <memory>

#include "checkpoint/layer_reader.h"

namespace slim {

// 4 and 8 bits; formats repacked for one kernel (marlin) are refused. A layer whose columns are
// not in the order of their groups has LogicalLayer::column_groups.
// `problems`: as InspectLayers().
Result<std::unique_ptr<LayerReader>> OpenGptq(const Checkpoint& source,
                                              std::vector<Error>* problems = nullptr);
Result<std::unique_ptr<LayerReader>> OpenAwq(const Checkpoint& source,
                                             std::vector<Error>* problems = nullptr);

}  // namespace slim
