// One of the two checkpoints of a comparison: opened, its architecture read, and what a report says
// of it. Reads headers and config only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "model/model_config.h"
#include "run/linear_layer.h"

namespace slim {

struct OpenModel {
  Checkpoint checkpoint;
  ModelConfig config;
};

Result<OpenModel> OpenModelAt(const std::string& path);

struct DiffSubject {
  std::string path;
  std::string dialect;
  std::vector<std::string> types;  // labels of the linear layers of the blocks, most frequent first
};
Result<DiffSubject> Describe(const OpenModel& model);

// DIFF-vocabulary unless both have one size of vocabulary.
Status CheckSameVocabularySize(const OpenModel& first, const OpenModel& second);

// Bytes that block `layer` takes once loaded for `backend`; with experts all of them.
uint64_t BlockBytes(const OpenModel& model, uint64_t layer, Backend backend);
// The same of the embedding, the final norm and lm_head.
uint64_t EndsBytes(const OpenModel& model, Backend backend);

// The error with the checkpoint's path where it names none.
Error WithPathOf(Error error, const OpenModel& model);

}  // namespace slim
