// The safetensors form of logits: `input_ids` I32 [tokens] and `logits` F32 [tokens, vocabulary],
// row i being what the model says after token i.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace slim {

// The bytes of the file; logits.size() is a multiple of ids.size().
Result<std::string> EncodeLogitsFile(std::span<const int32_t> ids, std::span<const float> logits);

}  // namespace slim
