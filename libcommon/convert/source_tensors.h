// The tensors of a source checkpoint as a conversion sees them: in model order, each with its
// label, and the globals of the whole. Internal to convert/.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"

namespace slim {

// Place of each module in the model's order, by name; empty where the architecture is unknown.
std::unordered_map<std::string, size_t> ModuleRanks(const Checkpoint& source);

struct SourceTensor {
  const TensorEntry* entry = nullptr;
  std::string label;
};

// In the order of the description; without one, in the order of the model's modules, and by name
// where the architecture is unknown. Every tensor has a label and every label a tensor, else
// CK-missing-label or CK-missing-tensor.
Result<std::vector<SourceTensor>> SourceTensors(const Checkpoint& source);

// The globals of the description. A missing model_quant_type is taken from the labels, a missing
// group_size of the mindie dialect from config.json; what was filled in or cannot be kept is noted.
Result<DescriptionGlobals> SourceGlobals(const Checkpoint& source,
                                         const std::vector<SourceTensor>& tensors,
                                         std::vector<std::string>& notes);

// The type that a checkpoint with these labels calls itself by.
std::string TypeByLabels(const std::vector<SourceTensor>& tensors);

// Number of each shard by file name (natural order), parallel to source.shards(): an index may
// mention the last file first.
std::vector<uint32_t> ShardNumbers(const Checkpoint& source);

}  // namespace slim
