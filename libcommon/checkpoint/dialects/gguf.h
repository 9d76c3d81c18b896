// Layers of a GGUF file: llama.cpp's names become Hugging Face's, its order of query and key rows
// is undone, Q8_0 becomes int8 codes with a scale a block of 32 (a scale a row where all blocks of
// each row agree). Facts: ecosystem.md 1.3 G.
#pragma once

#include <memory>

#include "checkpoint/layer_reader.h"

namespace slim {

// llama.cpp keeps vectors in F32 whatever the model: those whose values all fit the model's dtype
// are given in it, the others as they are.
Result<std::unique_ptr<LayerReader>> OpenGguf(const Checkpoint& source);

}  // namespace slim
