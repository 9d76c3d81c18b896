// Int8 layers for other ecosystems: compressed-tensors (int-quantized) and GPTQ with 8 bits.
// Internal to convert/.
#pragma once

#include <memory>

#include "convert/layer_target.h"

namespace slim {

// W8A8 and W8A8_DYNAMIC. A static layer without weight_scale gets the one whose product with
// input_scale is its deq_scale, to the last bit where there is one.
Result<std::unique_ptr<LayerTarget>> MakeCompressedTensorsTarget(const LayerReader& reader,
                                                                 const ConvertOptions& options);
// W8A16 and W8A8_DYNAMIC, whose activations become floats. Scales are rounded to F16.
Result<std::unique_ptr<LayerTarget>> MakeGptqTarget(const LayerReader& reader,
                                                    const ConvertOptions& options);

// The numpy layout of msModelSlim: W8A8, W8A8_DYNAMIC and W8A16 as they are. A module's weight and
// bias have one name there: refused where both exist.
Result<std::unique_ptr<LayerTarget>> MakeNpyTarget(const LayerReader& reader,
                                                   const ConvertOptions& options);
// Float tensors and int8 codes as GGUF: Q8_0 with each row's scale in every block of it. Scales are
// rounded to F16.
Result<std::unique_ptr<LayerTarget>> MakeGgufTarget(const LayerReader& reader,
                                                    const ConvertOptions& options);

}  // namespace slim
