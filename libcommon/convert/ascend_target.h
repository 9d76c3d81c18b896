// Layers of other ecosystems as ascendv1: codes and scales as they are, widened to F32 as the
// one-click writer has them; FP8 blocks quantized anew to W8A8_DYNAMIC. Internal to convert/.
#pragma once

#include <memory>

#include "convert/layer_target.h"

namespace slim {

// Refuses by tensor: types that ascendv1 has no tensors for (CV-scheme), columns out of the order
// of their groups (CV-act-order), weight offsets where the type ignores them (CV-weight-offset).
Result<std::unique_ptr<LayerTarget>> MakeAscendTarget(const LayerReader& reader,
                                                      const ConvertOptions& options);

}  // namespace slim
