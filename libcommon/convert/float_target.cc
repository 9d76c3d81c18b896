#include "convert/float_target.h"

#include <fmt/format.h>

#include <algorithm>

#include "convert/dequantize.h"
#include "convert/plan.h"
#include "kernels/convert.h"

namespace slim {
namespace {

constexpr std::string_view kCopyMark = ".module";

bool IsModelFloat(DType dtype) { return CanConvertFromFloat(dtype); }

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
  Result<bool> IsNormCopy(const LogicalLayer& layer) const;
  Result<bool> IsZeroNormBias(const LogicalLayer& layer) const;
  DType PlainDType(DType dtype) const { return asked_ && IsModelFloat(dtype) ? *asked_ : dtype; }

  std::optional<DType> asked_;
  DType weights_;
  bool allow_loss_;
};

// "x.module.weight" beside "x.weight": what MindIE reads, equal to the original or refused.
Result<bool> FloatTarget::IsNormCopy(const LogicalLayer& layer) const {
  const TensorNameParts parts = SplitTensorName(layer.name);
  if (!parts.module.ends_with(kCopyMark)) return false;
  const std::string_view module = parts.module.substr(0, parts.module.size() - kCopyMark.size());
  const TensorEntry* original = reader_.source().Find(fmt::format("{}.{}", module, parts.suffix));
  if (original == nullptr) return false;
  SLIM_ASSIGN(const Tensor a, reader_.source().Read(*original));
  SLIM_ASSIGN(const Tensor b, reader_.source().Read(*layer.sources.front()));
  if (a.dtype == b.dtype && std::ranges::equal(a.data.bytes(), b.data.bytes())) return true;
  return InputError("NORM-copy-differs",
                    fmt::format("differs from '{}', of which it should be a copy", original->name),
                    "find out which pair the layers were quantized with and make both equal to it")
      .WithTensor(layer.name)
      .WithPath(reader_.source().path());
}

// Anti-outlier methods give every RMSNorm a bias; the float architectures have none.
Result<bool> FloatTarget::IsZeroNormBias(const LogicalLayer& layer) const {
  const TensorNameParts parts = SplitTensorName(layer.name);
  const Json* config = reader_.source().config();
  if (parts.suffix != "bias" || parts.module.find("norm") == std::string_view::npos ||
      config == nullptr || config->Find("rms_norm_eps") == nullptr)
    return false;
  SLIM_ASSIGN(const Tensor bias, reader_.source().Read(*layer.sources.front()));
  for (uint64_t i = 0; i < bias.elements(); ++i) {
    if (ElementAsDouble(bias.view(), i) == 0) continue;
    if (allow_loss_) return true;
    return InputError("CV-norm-bias",
                      "is not zero, and the float architecture's RMSNorm has no bias: without it "
                      "the model computes something else",
                      "--allow-loss leaves it out")
        .WithTensor(layer.name)
        .WithPath(reader_.source().path());
  }
  return true;
}

Result<LayerPlan> FloatTarget::PlanPlain(const LogicalLayer& layer) const {
  LayerPlan plan;
  SLIM_ASSIGN(const bool copy, IsNormCopy(layer));
  if (copy) {
    plan.reason = "a copy that only MindIE reads";
    return plan;
  }
  SLIM_ASSIGN(const bool norm_bias, IsZeroNormBias(layer));
  if (norm_bias) {
    plan.reason = "a norm's bias, which the float architecture does not have";
    return plan;
  }
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
    if (named && IsModelFloat(*named)) weights = *named;
  }
  return std::unique_ptr<LayerTarget>(
      std::make_unique<FloatTarget>(reader, options.dtype, weights, options.allow_loss));
}

}  // namespace slim
