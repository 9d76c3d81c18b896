// How much memory a model takes, before any of it is read.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "model/model_config.h"
#include "run/linear_layer.h"

namespace slim {

// Bytes of the weights of a model that is loaded whole, from the headers alone: what is stored, or
// float32 where `backend` dequantizes when loading. Activations and the cache of keys and values
// come on top.
Result<uint64_t> EstimateWeightBytes(const Checkpoint& checkpoint, const ModelConfig& config,
                                     Backend backend);

}  // namespace slim
