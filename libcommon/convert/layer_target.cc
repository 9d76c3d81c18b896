#include "convert/layer_target.h"

#include <fmt/format.h>

#include "convert/float_target.h"
#include "convert/plan.h"

namespace slim {

Result<std::unique_ptr<LayerTarget>> MakeLayerTarget(const LayerReader& reader,
                                                     const ConvertOptions& options) {
  if (options.dequantize || options.to == Dialect::kHf) return MakeFloatTarget(reader, options);
  return InternalError(fmt::format("no writer for {}", DialectName(options.to)));
}

}  // namespace slim
