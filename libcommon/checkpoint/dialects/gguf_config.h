// config.json from the metadata of a GGUF file, and back: the keys that both have, as one table.
#pragma once

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
Result<std::string> ConfigOfGguf(const GgufHeader& header);

// Metadata of a model by its config.json: architecture, sizes, rotary embedding. GG-metadata for
// what llama.cpp has no name for.
Result<GgufMetadata> GgufOfConfig(const Json& config);

}  // namespace slim
