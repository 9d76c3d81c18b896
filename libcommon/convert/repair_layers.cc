#include "convert/repair_layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "convert/dequantize.h"
#include "convert/weight_scales.h"
#include "dtype/scalar_convert.h"
#include "kernels/convert.h"
#include "linear/w8a8.h"
#include "model/model_config.h"

namespace slim {
namespace {

std::string PartName(std::string_view module, Role role) {
  return fmt::format("{}.{}", module, RoleSuffix(role));
}

// A tensor that is not in the source, made by `make`.
TensorPlan Computed(const TensorPlan& anchor, std::string name, DType dtype, Shape shape,
                    std::string reason) {
  TensorPlan plan;
  plan.name = std::move(name);
  plan.source = anchor.source;
  plan.label = anchor.label;
  plan.action = TensorAction::kCompute;
  plan.from = dtype;
  plan.to = dtype;
  plan.from_shape = anchor.from_shape;
  plan.shape = std::move(shape);
  plan.shard = anchor.shard;
  plan.reason = std::move(reason);
  return plan;
}

TensorPlan Zeros(const TensorPlan& anchor, std::string name, const TensorEntry& like) {
  Shape shape = like.shape.size() == 1 && !like.name.ends_with("kv_cache_scale")
                    ? Shape{like.shape[0], 1}
                    : like.shape;
  TensorPlan plan =
      Computed(anchor, std::move(name), like.dtype, shape, "zero, as the type has it");
  plan.work_bytes = like.size;
  plan.make = [dtype = like.dtype, shape](const Checkpoint&) -> Result<Tensor> {
    Tensor zeros(dtype, shape);
    std::ranges::fill(zeros.data.bytes(), std::byte{0});
    return zeros;
  };
  return plan;
}

// deq_scale = input_scale · weight_scale.
TensorPlan DeqScale(const TensorPlan& anchor, const std::string& module) {
  TensorPlan plan = Computed(anchor, PartName(module, Role::kDeqScale), DType::kF32,
                             {anchor.shape[0]}, "input_scale times weight_scale");
  plan.work_bytes = 16 * anchor.shape[0];
  plan.make = [module, n = anchor.shape[0]](const Checkpoint& from) -> Result<Tensor> {
    SLIM_ASSIGN(const Tensor input, from.Read(PartName(module, Role::kInputScale)));
    SLIM_ASSIGN(const Tensor scales, from.Read(PartName(module, Role::kWeightScale)));
    if (scales.elements() != n || input.elements() != 1) {
      return InputError("LD-shape", "does not fit its weight")
          .WithTensor(PartName(module, Role::kWeightScale));
    }
    Tensor deq(DType::kF32, {n});
    const auto step = static_cast<float>(ElementAsDouble(input.view(), 0));
    for (uint64_t i = 0; i < n; ++i)
      deq.as<float>()[i] = step * static_cast<float>(ElementAsDouble(scales.view(), i));
    return deq;
  };
  return plan;
}

// deq_scale / input_scale, which the dynamic branch of W8A8_MIX needs (consumers.md 10.4).
TensorPlan WeightScale(const TensorPlan& anchor, const std::string& module) {
  TensorPlan plan = Computed(anchor, PartName(module, Role::kWeightScale), DType::kF32,
                             {anchor.shape[0], 1}, "deq_scale over input_scale");
  plan.work_bytes = 16 * anchor.shape[0];
  plan.make = [module, n = anchor.shape[0]](const Checkpoint& from) -> Result<Tensor> {
    LinearRecord record;
    for (const Role role : {Role::kInputScale, Role::kDeqScale}) {
      SLIM_ASSIGN(record[role], from.Read(PartName(module, role)));
    }
    if (record[Role::kDeqScale].elements() != n || record[Role::kInputScale].elements() != 1) {
      return InputError("LD-shape", "does not fit its weight")
          .WithTensor(PartName(module, Role::kDeqScale));
    }
    return Tensor::FromFloats({n, 1}, ImpliedWeightScales(record, DType::kF32));
  };
  return plan;
}

// rne(bias / deq_scale − input_offset · Σ codes) [n]; `bias` [n] or empty.
Tensor QuantBiasTensor(const LinearRecord& record, std::span<const float> deq_scale, float offset,
                       std::span<const float> bias) {
  const StaticFold fold =
      FoldStaticW8A8(record[Role::kWeight].as<int8_t>(), record.n(), record.k(), deq_scale,
                     {1.0F, offset}, bias, DType::kF32, FoldRounding::kOnce, nullptr);
  Tensor tensor(DType::kI32, {record.n()});
  std::ranges::copy(fold.quant_bias, tensor.as<int32_t>().begin());
  return tensor;
}

// quant_bias of what is stored.
Result<Tensor> FoldBias(const Checkpoint& from, const std::string& module) {
  LinearRecord record;
  for (const Role role : {Role::kWeight, Role::kInputOffset, Role::kDeqScale, Role::kBias}) {
    if (from.Find(PartName(module, role)) == nullptr) continue;
    SLIM_ASSIGN(record[role], from.Read(PartName(module, role)));
  }
  const std::vector<float> deq = PartAsFloats(record, Role::kDeqScale);
  std::vector<float> bias(record.n(), 0.0F);
  if (record.Has(Role::kBias)) bias = PartAsFloats(record, Role::kBias);
  if (deq.size() != record.n() || bias.size() != record.n()) {
    return InputError("LD-shape", "does not fit its weight")
        .WithTensor(PartName(module, Role::kDeqScale));
  }
  const float offset = PartAsFloats(record, Role::kInputOffset).at(0);
  return QuantBiasTensor(record, deq, offset, bias);
}

TensorPlan QuantBias(const Checkpoint& source, const TensorPlan& anchor,
                     const std::string& module) {
  TensorPlan plan =
      Computed(anchor, PartName(module, Role::kQuantBias), DType::kI32, {anchor.shape[0]}, "");
  const bool has_bias = source.Find(PartName(module, Role::kBias)) != nullptr;
  plan.reason = has_bias ? "bias / deq_scale - input_offset * sum of codes"
                         : "- input_offset * sum of codes; a bias that only it held is lost";
  plan.loss = has_bias ? LossClass::kExact : LossClass::kNear;
  plan.work_bytes = source.Find(anchor.source)->size + 16 * anchor.shape[0];
  plan.make = [module](const Checkpoint& from) { return FoldBias(from, module); };
  return plan;
}

}  // namespace

Result<std::vector<TensorPlan>> MissingCompanions(const Checkpoint& source,
                                                  const TensorPlan& anchor) {
  std::vector<TensorPlan> added;
  const auto [view, suffix] = SplitTensorName(anchor.name);
  const std::string module(view);
  const auto has = [&](Role role) { return source.Find(PartName(module, role)) != nullptr; };
  if (suffix == "kv_cache_scale") {
    const std::string offset = fmt::format("{}.kv_cache_offset", module);
    if (source.Find(offset) == nullptr)
      added.push_back(Zeros(anchor, offset, *source.Find(anchor.source)));
    return added;
  }
  const auto scheme = ParseSchemeLabel(anchor.label);
  if (!scheme || !HasInt8Codes(*scheme) || anchor.shape.size() != 2) return added;
  if (has(Role::kWeightScale) && !has(Role::kWeightOffset)) {
    added.push_back(Zeros(anchor, PartName(module, Role::kWeightOffset),
                          *source.Find(PartName(module, Role::kWeightScale))));
  }
  if (!HasStaticActivations(*scheme) || !has(Role::kInputScale) || !has(Role::kInputOffset))
    return added;
  if (has(Role::kWeightScale) && !has(Role::kDeqScale)) added.push_back(DeqScale(anchor, module));
  if (*scheme == Scheme::kW8A8Mix && has(Role::kDeqScale) && !has(Role::kWeightScale)) {
    added.push_back(WeightScale(anchor, module));
    TensorPlan offset = added.back();
    offset.name = PartName(module, Role::kWeightOffset);
    offset.reason = "zero, as the type has it";
    offset.make = [shape = offset.shape](const Checkpoint&) -> Result<Tensor> {
      return Tensor::FromFloats(shape, std::vector<float>(shape[0], 0.0F));
    };
    if (!has(Role::kWeightOffset)) added.push_back(std::move(offset));
  }
  if (has(Role::kDeqScale) && !has(Role::kQuantBias))
    added.push_back(QuantBias(source, anchor, module));
  return added;
}

Result<const LayerReader*> LayerRepair::Reader() {
  if (reader_ == nullptr) {
    SLIM_ASSIGN(std::unique_ptr<LayerReader> opened, OpenLayers(change_.source));
    reader_ = std::move(opened);
  }
  return reader_.get();
}

Result<const LogicalLayer*> LayerRepair::Layer(const std::string& module) {
  SLIM_ASSIGN(const LayerReader* reader, Reader());
  const auto layer = std::ranges::find_if(reader->layers(), [&](const LogicalLayer& candidate) {
    return candidate.is_linear && candidate.name == module;
  });
  if (layer == reader->layers().end()) return InternalError("no linear layer").WithTensor(module);
  return &*layer;
}

TensorPlan* LayerRepair::Find(const std::string& tensor) {
  const auto found = std::ranges::find(change_.tensors, tensor, &TensorPlan::name);
  return found == change_.tensors.end() ? nullptr : &*found;
}

Status LayerRepair::Dequantize(const std::string& module) {
  SLIM_ASSIGN(const LogicalLayer* layer, Layer(module));
  SLIM_ASSIGN(const std::optional<DType> dtype, ConfigDType(*change_.source.config()));
  const LogicalLayer& shape = *layer;
  SLIM_ASSIGN(const LinearRecord record, reader_->Read(shape, LayerReader::Parts::kAll));
  const std::vector<float> bias = FloatBias(record);
  const TensorPlan anchor = *Find(PartName(module, Role::kWeight));
  TensorPlan weight = Computed(anchor, anchor.name, DType::kF32, shape.shape(),
                               fmt::format("{} dequantized", anchor.label));
  weight.to = dtype.value_or(DType::kBF16);
  weight.label = "FLOAT";
  weight.work_bytes = 4 * shape.n() * shape.k() + change_.source.Find(anchor.source)->size;
  // The reader comes along: it belongs to the source, as every `make` does.
  weight.make = [reader = reader_, layer](const Checkpoint&) -> Result<Tensor> {
    SLIM_ASSIGN(const LinearRecord codes, reader->Read(*layer, LayerReader::Parts::kAll));
    LayerLoss none;
    return DequantizeWeight(*layer, codes, DType::kF32, none);
  };
  std::vector<TensorPlan> kept;
  for (TensorPlan& tensor : change_.tensors) {
    const auto [owner, suffix] = SplitTensorName(tensor.name);
    const auto role = ParseRole(suffix);
    if (owner != module || !role) {
      kept.push_back(std::move(tensor));
    } else if (*role == Role::kWeight) {
      kept.push_back(std::move(weight));
    } else if (*role == Role::kBias) {
      tensor.label = "FLOAT";
      kept.push_back(std::move(tensor));
    } else {
      tensor.action = TensorAction::kDrop;
      tensor.reason = "the layer is float now";
      change_.dropped.push_back(std::move(tensor));
    }
  }
  change_.tensors = std::move(kept);
  if (bias.empty() || Find(PartName(module, Role::kBias)) != nullptr) return {};
  TensorPlan added = Computed(anchor, PartName(module, Role::kBias), DType::kF32, {shape.n()},
                              "taken out of quant_bias");
  added.to = dtype.value_or(DType::kBF16);
  added.label = "FLOAT";
  added.make = [bias](const Checkpoint&) -> Result<Tensor> {
    return Tensor::FromFloats({bias.size()}, bias);
  };
  added.work_bytes = 8 * bias.size();
  change_.tensors.push_back(std::move(added));
  return {};
}

// Replaces what a planned tensor is made of; dtype and shape stay.
void LayerRepair::Replace(const std::string& name, Tensor value, double loss, std::string reason) {
  TensorPlan& plan = *Find(name);
  plan.action = TensorAction::kCompute;
  plan.loss = LossClass::kNear;
  plan.worst_relative_error = loss;
  plan.reason = std::move(reason);
  value.shape = plan.shape;
  plan.work_bytes = 2 * value.data.size();
  plan.make = [kept = std::make_shared<const Tensor>(std::move(value))](
                  const Checkpoint&) -> Result<Tensor> { return Tensor::Copy(kept->view()); };
}

Status LayerRepair::Refit(const FusedInput& member, const QuantizationRange& range) {
  const LinearRecord& record = member.record;
  if (member.range.scale == range.scale && member.range.offset == range.offset) return {};
  const double growth = static_cast<double>(range.scale) / member.range.scale;
  std::vector<float> deq = PartAsFloats(record, Role::kDeqScale);
  for (float& scale : deq) scale = static_cast<float>(scale * growth);
  const double loss = std::abs(1.0 - 1.0 / growth);
  const std::string reason =
      fmt::format("folded for input_scale {:.9g}, was {:.9g}", range.scale, member.range.scale);
  const auto put = [&](Role role, Tensor value) {
    Replace(PartName(record.name, role), std::move(value), loss, reason);
  };
  put(Role::kQuantBias, QuantBiasTensor(record, deq, range.offset, FloatBias(record)));
  LayerLoss rounding;
  SLIM_ASSIGN(Tensor scale,
              RoundFloats(std::vector{range.scale}, {1}, record[Role::kInputScale].dtype,
                          Meaning::kScales, rounding));
  put(Role::kInputScale, std::move(scale));
  Tensor offset(record[Role::kInputOffset].dtype, {1});
  if (offset.dtype == DType::kI8) {
    offset.as<int8_t>()[0] = static_cast<int8_t>(range.offset);
  } else {
    SLIM_ASSIGN(offset, RoundFloats(std::vector{range.offset}, {1}, offset.dtype, Meaning::kValues,
                                    rounding));
  }
  put(Role::kInputOffset, std::move(offset));
  Tensor values = Tensor::FromFloats({deq.size()}, deq);
  if (record[Role::kDeqScale].dtype == DType::kI64) {
    Tensor bits(DType::kI64, {deq.size()});
    SLIM_TRY(ChangeDeqScale(values.view(), DType::kI64, bits.data.bytes()));
    values = std::move(bits);
  }
  put(Role::kDeqScale, std::move(values));
  return {};
}

Result<LayerRepair::FusedInput> LayerRepair::ReadInput(const std::string& module) {
  SLIM_ASSIGN(const LogicalLayer* layer, Layer(module));
  FusedInput input;
  SLIM_ASSIGN(input.record, reader_->Read(*layer, LayerReader::Parts::kAll));
  input.range.scale = PartAsFloats(input.record, Role::kInputScale).at(0);
  input.range.offset = PartAsFloats(input.record, Role::kInputOffset).at(0);
  const float offset = input.range.offset;
  const bool sound = input.range.scale > 0 && std::isfinite(input.range.scale) && offset >= -128 &&
                     offset <= 127 && offset == std::nearbyint(offset);
  if (sound) return input;
  return InputError("LD-input-scale",
                    fmt::format("cannot be repaired: input_scale {} and input_offset {} are no "
                                "range of int8, and nothing tells which one the layer was "
                                "quantized with",
                                input.range.scale, offset),
                    "quantize the model again")
      .WithTensor(PartName(module, Role::kInputOffset))
      .WithPath(change_.source.path());
}

Result<std::string> LayerRepair::Refold(const std::vector<std::string>& members) {
  std::vector<FusedInput> inputs;
  float low = INFINITY;
  float high = -INFINITY;
  for (const std::string& module : members) {
    SLIM_ASSIGN(FusedInput input, ReadInput(module));
    low = std::min(low, (-128 - input.range.offset) * input.range.scale);
    high = std::max(high, (127 - input.range.offset) * input.range.scale);
    inputs.push_back(std::move(input));
  }
  const auto by_scale = [](const FusedInput& input) { return input.range.scale; };
  QuantizationRange range = std::ranges::max_element(inputs, {}, by_scale)->range;
  const bool one_offset = std::ranges::all_of(
      inputs, [&](const FusedInput& input) { return input.range.offset == range.offset; });
  if (!one_offset) {
    range.scale = Rounded((high - low) / 255.0F, inputs.front().record[Role::kInputScale].dtype);
    range.offset = std::clamp(std::nearbyint(-128.0F - low / range.scale), -128.0F, 127.0F);
  }
  const bool equal = std::ranges::all_of(inputs, [&](const FusedInput& input) {
    return input.range.scale == range.scale && input.range.offset == range.offset;
  });
  if (equal) return std::string();
  const float finest = std::ranges::min_element(inputs, {}, by_scale)->range.scale;
  for (const FusedInput& input : inputs) SLIM_TRY(Refit(input, range));
  return fmt::format(
      "input_scale {:.9g} and input_offset {} for all: steps of the input up to "
      "{:.3g} times as wide",
      range.scale, range.offset, range.scale / finest);
}

}  // namespace slim
