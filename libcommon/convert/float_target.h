// Any checkpoint as a float one of Hugging Face: codes times scales, rounded once to the wanted
// dtype (--dequantize). Internal to convert/.
#pragma once

#include <memory>

#include "convert/layer_target.h"

namespace slim {

// Without options.dtype weights take the model's dtype (config.json), bf16 where it names none, and
// float tensors keep theirs.
Result<std::unique_ptr<LayerTarget>> MakeFloatTarget(const LayerReader& reader,
                                                     const ConvertOptions& options);

}  // namespace slim
