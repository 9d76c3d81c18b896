// hf: a float Hugging Face checkpoint: model.safetensors or model-0000i-of-0000N.safetensors with
// an index; no description.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace slim {

extern const DialectTraits kHfTraits;

}  // namespace slim
