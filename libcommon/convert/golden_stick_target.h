// Layers of the Ascend family as MindSpore golden-stick's Hugging Face layout has them. Internal to
// convert/.
#pragma once

#include <memory>

#include "convert/layer_target.h"

namespace slim {

// W8A8, W8A8_DYNAMIC, W8A16 and W4A16. Activation scales are repeated k times; quant_bias is
// −offset · Σ codes, exactly, and the float bias stands beside it; int4 is packed in transposed
// form; a tied lm_head is left out. Scales keep their values: in the model's dtype where it holds
// them, else F32.
Result<std::unique_ptr<LayerTarget>> MakeGoldenStickTarget(const LayerReader& reader,
                                                           const ConvertOptions& options);

}  // namespace slim
