// What golden-stick wrote before its Hugging Face layout: rank_{i}/*.safetensors, one directory a
// tensor-parallel rank, without a description, in MindFormers' names. Facts: ecosystem.md 1.3 H;
// rows and columns are split as golden-stick's own loader of these names does.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/dialects/dialect.h"
#include "checkpoint/layer_reader.h"

namespace slim {

// Where the directory holds rank_{i} directories of weights; their files are named
// "rank_{i}/file.safetensors". Errors: CK-ranks where a rank is missing, holds no weights, or is
// what an interrupted distributed run of msModelSlim left.
Result<std::optional<DialectGuess>> GuessRanks(const std::string& directory,
                                               const std::vector<DirectoryEntry>& listing);

// Whether the checkpoint is one of ranks; its tensors are named "rank_{i}/name".
bool HasRanks(const Checkpoint& source);

// Dense decoders in W8A8, W8A8_DYNAMIC, W8A16 and FLOAT, ranks joined. Refused by tensor: fused
// layers (w_qkv, w_gate_hidden), scales and offsets that no layer absorbed (smooth_scale, beta),
// names of other models, and, when it is read, what should be equal in all ranks and is not
// (CK-ranks). `problems`: as InspectLayers().
Result<std::unique_ptr<LayerReader>> OpenGoldenStickRanks(const Checkpoint& source,
                                                          std::vector<Error>* problems);

}  // namespace slim
