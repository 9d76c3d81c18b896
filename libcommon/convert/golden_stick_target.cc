#include "convert/golden_stick_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "convert/dequantize.h"
#include "convert/plan.h"
#include "convert/weight_scales.h"
#include "json/json.h"
#include "kernels/convert.h"
#include "kernels/reduce.h"
#include "linear/packed_codes.h"
#include "linear/w8a8.h"

namespace slim {
namespace {

class GoldenStickTarget : public CodesTarget {
 public:
  using CodesTarget::CodesTarget;

  Result<LayerPlan> Plan(const LogicalLayer& layer) const override;
  Result<std::vector<Tensor>> Make(const LogicalLayer& layer, const LayerPlan& plan,
                                   LinearRecord record, LayerLoss& loss) const override;
  Status Finish(const std::vector<LayerPlan>& plans, WritePlan& write, ConfigTarget& config,
                std::vector<std::string>& notes) const override;

 private:
  static bool IsStatic(const LogicalLayer& layer) { return layer.scheme == Scheme::kW8A8; }
  static bool IsInt4(const LogicalLayer& layer) { return layer.scheme == Scheme::kW4A16; }
  Status CheckLayer(const LogicalLayer& layer) const;
  Result<LayerPlan> PlanLinear(const LogicalLayer& layer) const;
  Result<bool> IsTiedHead(const LogicalLayer& layer) const;
  std::vector<float> WeightScales(const LinearRecord& record) const;
  DType StoredDType(std::span<const float> values) const;
  static void MeasureBias(const LinearRecord& record, std::span<const float> bias, LayerLoss& loss);
  Tensor QuantBias(const LinearRecord& record, LayerLoss& loss) const;
  Result<Tensor> MakePart(const LayerOutput& output, const LogicalLayer& layer,
                          LinearRecord& record, std::span<const float> bias, LayerLoss& loss) const;
};

// golden-stick multiplies in F32: where a 16-bit scale gives the stored deq_scale, it is that one.
std::vector<float> GoldenStickTarget::WeightScales(const LinearRecord& record) const {
  std::vector<float> scales = ImpliedWeightScales(record, model_dtype_);
  if (record.Has(Role::kWeightScale)) return scales;
  const std::vector<float> deq = PartAsFloats(record, Role::kDeqScale);
  const float input = PartAsFloats(record, Role::kInputScale)[0];
  for (size_t i = 0; i < scales.size(); ++i) {
    for (const DType dtype : {model_dtype_, DType::kF16, DType::kBF16}) {
      const float narrow = Rounded(deq[i] / input, dtype);
      if (narrow * input != deq[i]) continue;
      scales[i] = narrow;
      break;
    }
  }
  return scales;
}

// The model's dtype, else the other one of 16 bits, else F32: whichever holds every value.
DType GoldenStickTarget::StoredDType(std::span<const float> values) const {
  for (const DType dtype : {model_dtype_, DType::kF16, DType::kBF16}) {
    if (NarrowestExact(values, dtype) == dtype) return dtype;
  }
  return DType::kF32;
}

Status GoldenStickTarget::CheckLayer(const LogicalLayer& layer) const {
  const bool known = IsStatic(layer) || IsInt4(layer) || layer.scheme == Scheme::kW8A8Dynamic ||
                     layer.scheme == Scheme::kW8A16;
  if (!known || (layer.groups() > 1 && !IsInt4(layer))) {
    return InputError(
        "CV-scheme",
        fmt::format("is {}{}; golden-stick has W8A8, W8A8_DYNAMIC, W8A16 (a scale a "
                    "row) and W4A16",
                    SchemeLabel(layer.scheme), layer.groups() > 1 ? " in groups" : ""),
        "--dequantize writes the float checkpoint");
  }
  if (IsInt4(layer) && layer.n() % 2 != 0)
    return InputError("LIN-odd", "int4 packs two outputs a byte, and their number is odd");
  return {};
}

// Stored once with the embedding: golden-stick leaves a tied head out.
Result<bool> GoldenStickTarget::IsTiedHead(const LogicalLayer& layer) const {
  const Json* tied = reader_.source().config()->Find("tie_word_embeddings");
  if (layer.name != "lm_head.weight" || tied == nullptr || tied->AsBool() != true) return false;
  const TensorEntry* embedding = reader_.source().Find("model.embed_tokens.weight");
  if (embedding == nullptr) return false;
  SLIM_ASSIGN(const Tensor a, reader_.source().Read(*embedding));
  SLIM_ASSIGN(const Tensor b, reader_.source().Read(*layer.sources.front()));
  if (a.dtype == b.dtype && std::ranges::equal(a.data.bytes(), b.data.bytes())) return true;
  return InputError("MODEL-tied-values",
                    "differs from the embedding, with which config.json ties it: golden-stick "
                    "stores a tied head only once",
                    "set tie_word_embeddings to false, or remove it");
}

Result<LayerPlan> GoldenStickTarget::Plan(const LogicalLayer& layer) const {
  if (layer.is_quantized()) return PlanLinear(layer);
  SLIM_ASSIGN(const bool tied, IsTiedHead(layer));
  if (!tied) return PlanUnquantized(layer);
  LayerPlan left_out;
  left_out.reason = "equal to the embedding, with which it is tied";
  return left_out;
}

Result<LayerPlan> GoldenStickTarget::PlanLinear(const LogicalLayer& layer) const {
  SLIM_TRY(CheckLayer(layer));
  SLIM_ASSIGN(LinearRecord record, reader_.Read(layer, LayerReader::Parts::kAllButWeight));
  SLIM_TRY(RefuseWeightOffsets(record, "golden-stick"));
  LayerPlan plan;
  plan.reason = fmt::format("{} as golden-stick has it", SchemeLabel(layer.scheme));
  const auto add = [&](Role role, DType dtype, Shape shape) {
    AddOutput(layer, RoleSuffix(role), dtype, std::move(shape), plan);
  };
  const std::vector<float> scales = WeightScales(record);
  const DType scale = StoredDType(scales);
  const Shape scale_shape = IsInt4(layer) ? Shape{layer.groups(), layer.n()} : Shape{layer.n()};
  add(Role::kWeight, DType::kI8, IsInt4(layer) ? Shape{layer.k(), layer.n() / 2} : layer.shape());
  add(Role::kWeightScale, scale, scale_shape);
  add(Role::kWeightOffset, DType::kI32, scale_shape);
  std::vector<float> bias;
  if (layer.Has(Role::kBias)) {
    bias = PartAsFloats(record, Role::kBias);
  } else if (IsStatic(layer)) {
    SLIM_ASSIGN(const LinearRecord whole, reader_.Read(layer, LayerReader::Parts::kAll));
    bias = FloatBias(whole);
  }
  if (!bias.empty() && IsStatic(layer)) plan.loss = LossClass::kNear;  // measured by Make()
  if (!bias.empty()) add(Role::kBias, StoredDType(bias), {layer.n()});
  if (!IsStatic(layer)) return plan;
  const std::vector<float> input = PartAsFloats(record, Role::kInputScale);
  add(Role::kInputScale, StoredDType(input), {layer.k()});
  add(Role::kInputOffset, DType::kI8, {layer.k()});
  add(Role::kDeqScale, DType::kF32, {layer.n()});
  add(Role::kQuantBias, DType::kI32, {layer.n()});
  const std::vector<float> offset = PartAsFloats(record, Role::kInputOffset);
  if (offset.size() != 1 || !(offset[0] >= -128 && offset[0] <= 127) ||
      offset[0] != std::nearbyint(offset[0])) {
    return InputError("CV-input-offset",
                      fmt::format("input_offset is {}, no int8", offset.empty() ? NAN : offset[0]));
  }
  return plan;
}

// What folding the bias in again would give, against what is stored: writers round the quotient to
// the model's dtype on the way.
void GoldenStickTarget::MeasureBias(const LinearRecord& record, std::span<const float> bias,
                                    LayerLoss& loss) {
  const std::vector<float> deq = PartAsFloats(record, Role::kDeqScale);
  const StaticFold fold = FoldStaticW8A8(record[Role::kWeight].as<int8_t>(), record.n(), record.k(),
                                         deq, {1.0F, PartAsFloats(record, Role::kInputOffset)[0]},
                                         bias, DType::kF32, FoldRounding::kOnce, nullptr);
  const auto stored = record[Role::kQuantBias].as<int32_t>();
  for (size_t i = 0; i < bias.size(); ++i) {
    if (fold.quant_bias[i] == stored[i]) continue;
    ++loss.changed;
    const double off = std::abs(static_cast<double>(fold.quant_bias[i]) - stored[i]);
    loss.worst_relative_error =
        std::max(loss.worst_relative_error,
                 stored[i] == 0 ? 1.0 : off / std::abs(static_cast<double>(stored[i])));
  }
}

// −offset · Σ codes, exactly; golden-stick's own would be rounded to the model's dtype on the way.
Tensor GoldenStickTarget::QuantBias(const LinearRecord& record, LayerLoss& loss) const {
  const double offset = PartAsFloats(record, Role::kInputOffset)[0];
  const std::vector<float> deq = PartAsFloats(record, Role::kDeqScale);
  const auto codes = record[Role::kWeight].as<int8_t>();
  Tensor out(DType::kI32, {record.n()});
  double largest = 0;
  for (uint64_t i = 0; i < record.n(); ++i) {
    const double exact =
        -offset * static_cast<double>(SumInt8(codes.data() + i * record.k(), record.k()));
    const double value = exact * static_cast<double>(deq[i]);
    const float rounded = Rounded(static_cast<float>(value), model_dtype_);
    const double theirs = std::nearbyint(static_cast<double>(rounded) / deq[i]);
    if (std::isfinite(theirs)) largest = std::max(largest, std::abs(theirs - exact));
    out.as<int32_t>()[i] = static_cast<int32_t>(std::clamp(exact, -0x1p31, 0x1p31 - 1));
  }
  loss.note = fmt::format(
      "quant_bias is exact, without the bias; golden-stick's own rounding would "
      "put it up to {:.0f} off",
      largest);
  return out;
}

Result<Tensor> GoldenStickTarget::MakePart(const LayerOutput& output, const LogicalLayer& layer,
                                           LinearRecord& record, std::span<const float> bias,
                                           LayerLoss& loss) const {
  const TensorSpec& spec = output.spec;
  const auto floats = [&](std::span<const float> values) {
    return RoundFloats(values, spec.shape, spec.dtype, Meaning::kValues, loss);
  };
  const auto filled = [&](float value) { return std::vector<float>(layer.k(), value); };
  switch (*ParseRole(SplitTensorName(spec.name).suffix)) {
    case Role::kWeight:
      if (IsInt4(layer))
        return PackTransposedInt4(record[Role::kWeight].as<int8_t>(), layer.n(), layer.k());
      return std::move(record[Role::kWeight]);
    case Role::kWeightScale: {
      const std::vector<float> scales = WeightScales(record);
      if (!IsInt4(layer)) return floats(scales);
      SLIM_ASSIGN(const Tensor rows, RoundFloats(scales, {layer.n(), layer.groups()}, spec.dtype,
                                                 Meaning::kScales, loss));
      return Transposed(rows);
    }
    case Role::kInputScale:
      return floats(filled(PartAsFloats(record, Role::kInputScale)[0]));
    case Role::kDeqScale:
      return floats(PartAsFloats(record, Role::kDeqScale));
    case Role::kBias:
      return floats(bias);
    case Role::kQuantBias:
      return QuantBias(record, loss);
    case Role::kInputOffset: {
      Tensor offsets(DType::kI8, spec.shape);
      std::ranges::fill(offsets.as<int8_t>(),
                        static_cast<int8_t>(PartAsFloats(record, Role::kInputOffset)[0]));
      return offsets;
    }
    default: {
      Tensor zeros(spec.dtype, spec.shape);
      std::ranges::fill(zeros.data.bytes(), std::byte{0});
      return zeros;
    }
  }
}

Result<std::vector<Tensor>> GoldenStickTarget::Make(const LogicalLayer& layer,
                                                    const LayerPlan& plan, LinearRecord record,
                                                    LayerLoss& loss) const {
  const std::vector<float> bias = FloatBias(record);
  if (!bias.empty() && IsStatic(layer)) MeasureBias(record, bias, loss);
  std::vector<std::optional<Tensor>> made(plan.outputs.size());
  // The weight last: it is moved out, and quant_bias needs it.
  for (size_t i = plan.outputs.size(); i-- > 0;) {
    SLIM_ASSIGN(made[i], MakePart(plan.outputs[i], layer, record, bias, loss));
  }
  std::vector<Tensor> out;
  for (std::optional<Tensor>& tensor : made) out.push_back(*std::move(tensor));
  return out;
}

Status GoldenStickTarget::Finish(const std::vector<LayerPlan>& plans, WritePlan& write,
                                 ConfigTarget& config, std::vector<std::string>& notes) const {
  write.globals.model_quant_type = "FLOAT";
  write.metadata = {{"format", "ms"}};
  bool wide = false;
  for (const LayerPlan& plan : plans) {
    for (const LayerOutput& output : plan.outputs) {
      const auto [module, suffix] = SplitTensorName(output.spec.name);
      if (output.label == SchemeLabel(Scheme::kW4A16) && suffix == "weight")
        write.metadata.emplace_back(output.spec.name, "Int4");
      const bool narrow = suffix == "weight_scale" || suffix == "input_scale";
      wide = wide || (narrow && output.label != "FLOAT" && output.spec.dtype == DType::kF32);
    }
  }
  if (wide) {
    notes.push_back(
        fmt::format("scales that 16 bits cannot hold stay F32; golden-stick itself writes {}",
                    DTypeName(model_dtype_)));
  }
  config.dequantized = true;
  return {};
}

}  // namespace

Result<std::unique_ptr<LayerTarget>> MakeGoldenStickTarget(const LayerReader& reader,
                                                           const ConvertOptions& options) {
  return CodesTarget::Create<GoldenStickTarget>(reader, options);
}

}  // namespace slim
