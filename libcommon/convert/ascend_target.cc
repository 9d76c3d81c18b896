#include "convert/ascend_target.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "convert/dequantize.h"
#include "convert/input_columns.h"
#include "convert/plan.h"
#include "convert/source_tensors.h"
#include "dtype/scalar_convert.h"
#include "kernels/reduce.h"
#include "linear/int4.h"
#include "linear/int8.h"
#include "linear/w8a8.h"

namespace slim {
namespace {

class AscendTarget : public CodesTarget {
 public:
  using CodesTarget::CodesTarget;

  Result<LayerPlan> Plan(const LogicalLayer& layer) const override;
  Result<std::vector<Tensor>> Make(const LogicalLayer& layer, const LayerPlan& plan,
                                   LinearRecord record, LayerLoss& loss) const override;
  Status Finish(const std::vector<LayerPlan>& plans, WritePlan& write, ConfigTarget& config,
                std::vector<std::string>& notes) const override;

 private:
  static bool IsRequantized(const LogicalLayer& layer) { return layer.block[0] > 0; }
  static Scheme SchemeFor(const LogicalLayer& layer) {
    return IsRequantized(layer) ? Scheme::kW8A8Dynamic : layer.scheme;
  }
  Result<LayerPlan> PlanFloat(const LogicalLayer& layer) const;
  bool IsNpy() const { return reader_.source().dialect() == Dialect::kNpy; }
  DType ScaleDType(const LogicalLayer& layer, Role role) const;
  Status CheckLayer(const LogicalLayer& layer) const;
  Status CheckOffsets(const LogicalLayer& layer) const;
  static Result<Tensor> MakeRole(const TensorSpec& spec, Role role, LinearRecord& record,
                                 LayerLoss& loss);
  Status Requantize(const LogicalLayer& layer, LinearRecord& record, LayerLoss& loss) const;
};

Status AscendTarget::CheckLayer(const LogicalLayer& layer) const {
  switch (SchemeFor(layer)) {
    case Scheme::kFloat:
    case Scheme::kW8A8:
    case Scheme::kW8A8Dynamic:
    case Scheme::kW8A16:
    case Scheme::kW4A16:
    case Scheme::kWFP8AFP8Dynamic:
      break;
    default:
      return InputError("CV-scheme",
                        fmt::format("is {}, for which ascendv1 needs more than this source has",
                                    SchemeLabel(layer.scheme)),
                        "--dequantize, and quantize the float checkpoint with slim-quant");
  }
  if (!layer.column_groups.empty()) {
    return InputError("CV-act-order",
                      "its columns are not in the order of their groups (act-order), and ascendv1 "
                      "has no permutation",
                      "--dequantize, and quantize the float checkpoint with slim-quant");
  }
  return CheckOffsets(layer);
}

// NPU kernels of the types with quantized activations ignore weight offsets (consumers.md, fact 7).
Status AscendTarget::CheckOffsets(const LogicalLayer& layer) const {
  const Scheme scheme = SchemeFor(layer);
  const bool honoured = scheme == Scheme::kW8A16 || scheme == Scheme::kW4A16;
  if (honoured || IsRequantized(layer) || !layer.Has(Role::kWeightOffset)) return {};
  SLIM_ASSIGN(const LinearRecord record, reader_.Read(layer, LayerReader::Parts::kAllButWeight));
  const std::vector<float> offsets = PartAsFloats(record, Role::kWeightOffset);
  const auto found = std::ranges::find_if(offsets, [](float v) { return v != 0; });
  if (found == offsets.end()) return {};
  return InputError("CV-weight-offset",
                    fmt::format("row {} has weight offset {}, which every loader of {} ignores",
                                (found - offsets.begin()) / static_cast<int64_t>(layer.groups()),
                                *found, SchemeLabel(scheme)),
                    "--dequantize, and quantize the float checkpoint with slim-quant");
}

// npy holds the tensors of msModelSlim itself, which keep their dtypes; what other ecosystems store
// in 16 bits is widened.
DType AscendTarget::ScaleDType(const LogicalLayer& layer, Role role) const {
  if (IsNpy() && layer.Has(role)) return layer.part(role)->dtype;
  if (role != Role::kDeqScale) return DType::kF32;
  return model_dtype_ == DType::kBF16 ? DType::kF32 : DType::kI64;
}

Result<LayerPlan> AscendTarget::PlanFloat(const LogicalLayer& layer) const {
  LayerPlan plan;
  if (!layer.is_linear) {
    const PartSpec& part = *layer.part(Role::kWeight);
    plan.outputs.push_back({{layer.name, part.dtype, part.shape}, "FLOAT"});
    plan.copies = layer.note.empty();
    plan.reason = layer.note;
    return plan;
  }
  plan.outputs.push_back({{layer.name + ".weight", model_dtype_, layer.shape()}, "FLOAT"});
  plan.loss = LossClass::kNear;
  plan.reason = fmt::format("embedding dequantized to {}", DTypeName(model_dtype_));
  return plan;
}

Result<LayerPlan> AscendTarget::Plan(const LogicalLayer& layer) const {
  LayerPlan plan;
  const auto add = [&](Role role, DType dtype, Shape shape) {
    const std::string label(role == Role::kBias ? "FLOAT" : SchemeLabel(SchemeFor(layer)));
    plan.outputs.push_back(
        {{fmt::format("{}.{}", layer.name, RoleSuffix(role)), dtype, std::move(shape)}, label});
  };
  if (!layer.is_linear || layer.is_lookup) return PlanFloat(layer);
  SLIM_TRY(CheckLayer(layer));
  const Scheme scheme = SchemeFor(layer);
  plan.reason = layer.note.empty() ? fmt::format("as {}", SchemeLabel(scheme)) : layer.note;
  const uint64_t groups = IsRequantized(layer) ? 1 : layer.groups();
  if (IsRequantized(layer)) {
    plan.loss = LossClass::kRequantized;
    plan.reason = "FP8 blocks quantized anew to W8A8_DYNAMIC";
  }
  const Int4Packing packing =
      Int4PackingOf(scheme, groups, TraitsOf(Dialect::kAscendV1).packs_int4);
  SLIM_ASSIGN(Shape stored, PackedInt4Shape(layer.n(), layer.k(), packing));
  add(Role::kWeight, scheme == Scheme::kWFP8AFP8Dynamic ? DType::kF8E4M3 : DType::kI8,
      std::move(stored));
  if (scheme == Scheme::kW8A8) {
    add(Role::kQuantBias, DType::kI32, {layer.n()});
    add(Role::kInputScale, ScaleDType(layer, Role::kInputScale), {1});
    add(Role::kInputOffset, ScaleDType(layer, Role::kInputOffset), {1});
    add(Role::kDeqScale, ScaleDType(layer, Role::kDeqScale), {layer.n()});
    if (InputsDiffer(layer)) {
      plan.loss = LossClass::kRequantized;
      plan.reason = "as W8A8, whose input_scale is one number";
    }
  }
  if (scheme != Scheme::kW8A8 || (IsNpy() && layer.Has(Role::kWeightScale))) {
    add(Role::kWeightScale, ScaleDType(layer, Role::kWeightScale), {layer.n(), groups});
    add(Role::kWeightOffset, ScaleDType(layer, Role::kWeightOffset), {layer.n(), groups});
  }
  if (layer.Has(Role::kBias)) add(Role::kBias, DType::kF32, {layer.n()});
  return plan;
}

Status AscendTarget::Requantize(const LogicalLayer& layer, LinearRecord& record,
                                LayerLoss& loss) const {
  const uint64_t k = layer.k();
  Tensor codes(DType::kI8, layer.shape());
  Tensor scales(DType::kF32, {layer.n(), 1});
  std::vector<float> row(k);
  for (uint64_t i = 0; i < layer.n(); ++i) {
    DequantizeLayerRow(layer, record, i, row);
    if (!AllFinite(row.data(), k)) {
      return InputError("CV-not-finite", fmt::format("row {} is not finite", i),
                        "the source is damaged: fetch it again");
    }
    const auto out = codes.as<int8_t>().subspan(i * k, k);
    const float scale = QuantizeByRange(row, 8, true, DType::kF32, out).scale;
    scales.as<float>()[i] = scale;
    AccountCodes(row, out, scale, loss);
  }
  record[Role::kWeight] = std::move(codes);
  record[Role::kWeightScale] = std::move(scales);
  record.scheme = Scheme::kW8A8Dynamic;
  return {};
}

Result<Tensor> AscendTarget::MakeRole(const TensorSpec& spec, Role role, LinearRecord& record,
                                      LayerLoss& loss) {
  if (role == Role::kWeight || role == Role::kQuantBias) {
    Tensor tensor = std::move(record[role]);
    tensor.shape = spec.shape;
    return tensor;
  }
  if (role == Role::kDeqScale && spec.dtype == DType::kI64) {
    const std::vector<float> values = PartAsFloats(record, role);
    Tensor tensor(DType::kI64, spec.shape);
    for (size_t i = 0; i < values.size(); ++i) tensor.as<int64_t>()[i] = FloatToDeqBits(values[i]);
    return tensor;
  }
  std::vector<float> values(*ElementCount(spec.shape), 0.0F);  // offsets that are not there
  if (record.Has(role)) values = PartAsFloats(record, role);
  return RoundFloats(values, spec.shape, spec.dtype, Meaning::kValues, loss);
}

Result<std::vector<Tensor>> AscendTarget::Make(const LogicalLayer& layer, const LayerPlan& plan,
                                               LinearRecord record, LayerLoss& loss) const {
  std::vector<Tensor> out;
  if (!layer.is_linear) {
    out.push_back(std::move(record[Role::kWeight]));
    return out;
  }
  if (layer.is_lookup) {
    SLIM_ASSIGN(Tensor rows, DequantizeWeight(layer, record, model_dtype_, loss));
    out.push_back(std::move(rows));
    return out;
  }
  if (IsRequantized(layer)) SLIM_TRY(Requantize(layer, record, loss));
  if (InputsDiffer(record)) SLIM_TRY(FoldInputs(record, loss));
  if (layer.quant_bias_is_rounded) {
    const int64_t off = RecomputeQuantBias(record);
    // What the source had is told apart from the float bias that it left out; folded, it belongs to
    // other codes.
    if (loss.note.empty()) {
      loss.note = fmt::format("the source's quant_bias was up to {} off its exact value{}", off,
                              record.Has(Role::kBias) ? " and left the float bias out" : "");
    }
  } else if (record.scheme == Scheme::kW8A8) {
    CompleteStatic(record, model_dtype_);
  }
  if (record.scheme != Scheme::kWFP8AFP8Dynamic) SLIM_TRY(CheckRecord(record));
  SLIM_TRY(PackWeight(record, TraitsOf(Dialect::kAscendV1).packs_int4));
  for (const LayerOutput& output : plan.outputs) {
    const Role role = *ParseRole(SplitTensorName(output.spec.name).suffix);
    SLIM_ASSIGN(Tensor tensor, MakeRole(output.spec, role, record, loss));
    out.push_back(std::move(tensor));
  }
  return out;
}

Status AscendTarget::Finish(const std::vector<LayerPlan>& plans, WritePlan& write,
                            ConfigTarget& config, std::vector<std::string>& /*notes*/) const {
  std::vector<SourceTensor> labels;
  for (const LayerPlan& plan : plans) {
    for (const LayerOutput& output : plan.outputs) {
      labels.push_back({nullptr, output.label});
    }
  }
  write.globals.model_quant_type = TypeByLabels(labels);
  for (const LogicalLayer& layer : reader_.layers()) {
    if (layer.is_linear && !layer.is_lookup && !IsRequantized(layer) && layer.groups() > 1)
      write.globals.group_size = static_cast<int64_t>(layer.k() / layer.groups());
  }
  config.dequantized = true;  // the description speaks of it from here on
  return {};
}

}  // namespace

Result<std::unique_ptr<LayerTarget>> MakeAscendTarget(const LayerReader& reader,
                                                      const ConvertOptions& options) {
  return CodesTarget::Create<AscendTarget>(
      reader, options, "convert first, then slim-convert --to ascendv1 --dtype");
}

}  // namespace slim
