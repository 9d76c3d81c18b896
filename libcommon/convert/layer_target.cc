#include "convert/layer_target.h"

#include <fmt/format.h>

#include "convert/ascend_target.h"
#include "convert/codes_targets.h"
#include "convert/float_target.h"
#include "convert/golden_stick_target.h"
#include "convert/plan.h"
#include "model/model_config.h"

namespace slim {

Result<std::optional<DType>> ModelDTypeOf(const LayerReader& reader) {
  const Json* config = reader.source().config();
  return config == nullptr ? std::optional<DType>() : ConfigDType(*config);
}

Result<std::unique_ptr<LayerTarget>> MakeLayerTarget(const LayerReader& reader,
                                                     const ConvertOptions& options) {
  if (options.dequantize || options.to == Dialect::kHf) return MakeFloatTarget(reader, options);
  switch (options.to) {
    case Dialect::kAscendV1:
      return MakeAscendTarget(reader, options);
    case Dialect::kCompressedTensors:
      return MakeCompressedTensorsTarget(reader, options);
    case Dialect::kGoldenStick:
      return MakeGoldenStickTarget(reader, options);
    case Dialect::kGguf:
      return MakeGgufTarget(reader, options);
    case Dialect::kNpy:
      return MakeNpyTarget(reader, options);
    case Dialect::kGptq:
      return MakeGptqTarget(reader, options);
    default:
      break;
  }
  return InternalError(fmt::format("no writer for {}", DialectName(options.to)));
}

}  // namespace slim
