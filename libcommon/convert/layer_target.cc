#include "convert/layer_target.h"

#include <fmt/format.h>

#include "convert/ascend_target.h"
#include "convert/codes_targets.h"
#include "convert/float_target.h"
#include "convert/golden_stick_target.h"
#include "convert/plain_tensors.h"
#include "convert/plan.h"
#include "model/model_config.h"

namespace slim {

Result<std::optional<DType>> ModelDTypeOf(const LayerReader& reader) {
  const Json* config = reader.source().config();
  return config == nullptr ? std::optional<DType>() : ConfigDType(*config);
}

Result<DType> CodesTarget::DTypeBesideCodes(const LayerReader& reader,
                                            const ConvertOptions& options, std::string_view hint) {
  if (options.dtype) {
    return UsageError(
        fmt::format("--dtype does not go with this conversion to {}", DialectName(options.to)),
        std::string(hint));
  }
  SLIM_ASSIGN(const std::optional<DType> named, ModelDTypeOf(reader));
  return named.value_or(DType::kF32);
}

Result<LayerPlan> CodesTarget::PlanUnquantized(const LogicalLayer& layer) const {
  LayerPlan plan;
  SLIM_ASSIGN(plan.reason, ReasonOfNormCopy(reader_, layer));
  if (!plan.reason.empty()) return plan;
  const PartSpec& part = *layer.part(Role::kWeight);
  plan.outputs.push_back(
      {{layer.is_linear ? layer.name + ".weight" : layer.name, part.dtype, part.shape}, "FLOAT"});
  plan.copies = true;
  return plan;
}

void CodesTarget::AddOutput(const LogicalLayer& layer, std::string_view suffix, DType dtype,
                            Shape shape, LayerPlan& plan) {
  plan.outputs.push_back({{fmt::format("{}.{}", layer.name, suffix), dtype, std::move(shape)},
                          std::string(SchemeLabel(layer.scheme))});
}

Error CodesTarget::NothingQuantized() {
  return UsageError("the source has no quantized layer", "--to hf writes float checkpoints");
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
