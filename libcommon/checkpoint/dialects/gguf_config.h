// config.json from the metadata of a GGUF file, and back: the keys that both have, as one table.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "checkpoint/gguf_header.h"
#include "json/json.h"

namespace slim {

using GgufMetadata = std::vector<std::pair<std::string, GgufValue>>;

// A side file that a container carries inside.
struct MadeFile {
  std::string name;
  std::string content;
};

// The config.json that the metadata stands for, dtype by the tensors' types. What a loader needs
// and the file does not say is an error (GG-metadata); `header` may be put together from splits.
// `rotary_factors`: the values of rope_freqs.weight, empty where the file has none.
Result<std::string> ConfigOfGguf(const GgufHeader& header, std::span<const float> rotary_factors);

// Metadata of a model by its config.json: architecture, sizes, rotary embedding. GG-metadata for
// what llama.cpp has no name for.
Result<GgufMetadata> GgufOfConfig(const Json& config);

// [head_dim / 2]: rope_freqs.weight of a model with Llama 3's rotary scaling, which the metadata
// leaves out; empty for every other one.
Result<std::vector<float>> RotaryFactorsOfConfig(const Json& config);

}  // namespace slim
