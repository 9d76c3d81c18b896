#include "convert/float_target.h"

#include <fmt/format.h>

#include <algorithm>

#include "convert/dequantize.h"
#include "convert/plain_tensors.h"
#include "convert/plan.h"
#include "kernels/convert.h"

namespace slim {
namespace {

class FloatTarget : public LayerTarget {
 public:
  FloatTarget(const LayerReader& reader, std::optional<DType> asked, DType weights, bool allow_loss)
      : LayerTarget(reader), asked_(asked), weights_(weights), allow_loss_(allow_loss) {}

  Result<LayerPlan> Plan(const LogicalLayer& layer) const override;
  Result<std::vector<Tensor>> Make(const LogicalLayer& layer, const LayerPlan& plan,
                                   LinearRecord record, LayerLoss& loss) const override;
  Status Finish(const std::vector<LayerPlan>& plans, WritePlan& write, ConfigTarget& config,
                std::vector<std::string>& notes) const override;

 private:
  Result<LayerPlan> PlanPlain(const LogicalLayer& layer) const;
  DType PlainDType(DType dtype) const {
    return asked_ && CanConvertFromFloat(dtype) ? *asked_ : dtype;
  }

  std::optional<DType> asked_;
  DType weights_;
  bool allow_loss_;
};

Result<LayerPlan> FloatTarget::PlanPlain(const LogicalLayer& layer) const {
  LayerPlan plan;
  SLIM_ASSIGN(plan.reason, ReasonToDrop(reader_, layer, allow_loss_));
  if (!plan.reason.empty()) return plan;
  const PartSpec& part = *layer.part(Role::kWeight);
  const DType dtype = PlainDType(part.dtype);
  plan.outputs.push_back({{layer.name, dtype, part.shape}, "FLOAT"});
  plan.copies = dtype == part.dtype && layer.note.empty();
  plan.reason = layer.note;
  if (dtype != part.dtype) {
    plan.loss = LossClass::kNear;
    plan.reason = fmt::format("{} to {}", DTypeName(part.dtype), DTypeName(dtype));
  }
  return plan;
}

Result<LayerPlan> FloatTarget::Plan(const LogicalLayer& layer) const {
  if (!layer.is_linear) return PlanPlain(layer);
  LayerPlan plan;
  plan.outputs.push_back({{layer.name + ".weight", weights_, layer.shape()}, "FLOAT"});
  plan.loss = weights_ == DType::kF32 ? LossClass::kExact : LossClass::kNear;
  plan.reason =
      fmt::format("{} dequantized to {}",
                  layer.note.empty() ? SchemeLabel(layer.scheme) : layer.note, DTypeName(weights_));
  bool bias = layer.Has(Role::kBias);
  if (!bias && layer.Has(Role::kQuantBias) && !layer.quant_bias_is_rounded) {
    SLIM_ASSIGN(const LinearRecord record, reader_.Read(layer, LayerReader::Parts::kAll));
    bias = !FloatBias(record).empty();
  }
  if (bias) plan.outputs.push_back({{layer.name + ".bias", weights_, {layer.n()}}, "FLOAT"});
  return plan;
}

Result<std::vector<Tensor>> FloatTarget::Make(const LogicalLayer& layer, const LayerPlan& plan,
                                              LinearRecord record, LayerLoss& loss) const {
  std::vector<Tensor> out;
  if (!layer.is_linear) {
    SLIM_ASSIGN(Tensor tensor, RoundPart(record[Role::kWeight], plan.outputs[0].spec.dtype,
                                         Meaning::kValues, loss));
    out.push_back(std::move(tensor));
    return out;
  }
  SLIM_ASSIGN(Tensor weight, DequantizeWeight(layer, record, weights_, loss));
  out.push_back(std::move(weight));
  if (plan.outputs.size() > 1) {
    SLIM_ASSIGN(Tensor bias,
                RoundFloats(FloatBias(record), {layer.n()}, weights_, Meaning::kValues, loss));
    out.push_back(std::move(bias));
  }
  return out;
}

Status FloatTarget::Finish(const std::vector<LayerPlan>& /*plans*/, WritePlan& write,
                           ConfigTarget& config, std::vector<std::string>& /*notes*/) const {
  write.globals.model_quant_type = "FLOAT";
  config.quant_type = "float";
  config.dequantized = true;
  config.dtype = asked_;
  return {};
}

}  // namespace

Result<std::unique_ptr<LayerTarget>> MakeFloatTarget(const LayerReader& reader,
                                                     const ConvertOptions& options) {
  DType weights = DType::kBF16;
  if (options.dtype) {
    weights = *options.dtype;
  } else {
    SLIM_ASSIGN(const std::optional<DType> named, ModelDTypeOf(reader));
    if (named && CanConvertFromFloat(*named)) weights = *named;
  }
  return std::unique_ptr<LayerTarget>(
      std::make_unique<FloatTarget>(reader, options.dtype, weights, options.allow_loss));
}

}  // namespace slim
