// compressed-tensors (vLLM, llm-compressor, msModelSlim's exporter): int8, FP8 and pack-quantized
// weights beside float tensors of a Hugging Face checkpoint, described by config.json. Facts:
// ecosystem.md 1.3 B.
#pragma once

#include <memory>

#include "checkpoint/layer_reader.h"

namespace slim {

// Reads int-quantized, float-quantized (channel, tensor, block), naive-quantized and pack-quantized
// with 4 or 8 bits. Refuses what else the format knows (CV-scheme), by tensor or by key.
// `problems`: as InspectLayers().
Result<std::unique_ptr<LayerReader>> OpenCompressedTensors(const Checkpoint& source,
                                                           std::vector<Error>* problems = nullptr);

}  // namespace slim
