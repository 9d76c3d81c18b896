// The model of a checkpoint: config.json held against the names of the tensors. Reads no tensor.
#pragma once

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "model/model_config.h"

namespace slim {

// Names of the text tower differ between generations of one architecture: sets config.prefix by the
// tensors there are.
void ResolvePrefix(const Checkpoint& checkpoint, ModelConfig& config);

// config.json of a checkpoint, with the prefix resolved. RUN-no-config when there is none; errors
// carry its path.
Result<ModelConfig> ReadModelConfig(const Checkpoint& checkpoint);

// CF-expert-count: a tensor of an expert that config.json does not count, or of experts in a layer
// that has none: the config is of another model.
Status CheckExpertCount(const Checkpoint& checkpoint, const ModelConfig& config);

}  // namespace slim
