// Repairs that choose new quantization parameters: one scale a row for int4 codes with scales of
// groups, ranges around zero for a KV cache.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/layer_rows.h"
#include "convert/dequantize.h"
#include "convert/repair_layers.h"
#include "linear/int4.h"

namespace slim {
namespace {

// Int4 codes [n, k] and scales [n] of a layer, one range a row.
struct RowCodes {
  Tensor codes;
  std::vector<float> scales;
  LayerLoss loss;
};

Result<RowCodes> QuantizeRows(const LayerReader& reader, const LogicalLayer& layer) {
  SLIM_ASSIGN(const LinearRecord record, reader.Read(layer, LayerReader::Parts::kAll));
  RowCodes out{Tensor(DType::kI8, layer.shape()), std::vector<float>(layer.n()), {}};
  std::vector<float> row(layer.k());
  for (uint64_t i = 0; i < layer.n(); ++i) {
    DequantizeLayerRow(layer, record, i, row);
    const auto codes = out.codes.as<int8_t>().subspan(i * row.size(), row.size());
    out.scales[i] = QuantizeByRange(row, 4, true, DType::kF32, codes).scale;
    AccountCodes(row, codes, out.scales[i], out.loss);
  }
  return out;
}

Tensor ScaleBiasTensor(const RowCodes& rows, const ScaleBiasForm& form) {
  const uint64_t k = rows.codes.shape[1];
  Tensor out(DType::kF32, {rows.scales.size(), form.columns});
  for (uint64_t i = 0; i < rows.scales.size(); ++i) {
    ScaleBiasRow(rows.codes.as<int8_t>().subspan(i * k, k), rows.scales[i], form.factor, false,
                 out.as<float>().subspan(i * form.columns, form.columns));
  }
  return out;
}

Result<Tensor> MakeRole(const LayerReader& reader, const LogicalLayer& layer, Role role,
                        const ScaleBiasForm& form, Int4Packing packing) {
  if (role == Role::kWeightOffset)
    return Tensor::FromFloats({layer.n(), 1}, std::vector<float>(layer.n()));
  SLIM_ASSIGN(const RowCodes rows, QuantizeRows(reader, layer));
  if (role == Role::kWeight) return PackInt4(rows.codes, packing);
  if (role == Role::kScaleBias) return ScaleBiasTensor(rows, form);
  return Tensor::FromFloats({layer.n(), 1}, rows.scales);
}

// The widest side of [-128, 127] around `offset`, over 127.
float WidthAround(float offset) { return std::max(128.0F + offset, 127.0F - offset) / 127.0F; }

}  // namespace

Result<double> LayerRepair::QuantizePerChannel(const std::string& module, bool packs_int4) {
  SLIM_ASSIGN(const LogicalLayer* layer, Layer(module));
  SLIM_ASSIGN(const RowCodes measured, QuantizeRows(*reader_, *layer));
  SLIM_ASSIGN(const ScaleBiasForm form, ScaleBiasFormOf(module, layer->k(), false));
  const Int4Packing packing = Int4PackingOf(layer->scheme, 1, packs_int4);
  SLIM_ASSIGN(const Shape packed, PackedInt4Shape(layer->n(), layer->k(), packing));
  const TensorPlan anchor = *Find(fmt::format("{}.weight", module));
  std::vector<TensorPlan> kept;
  for (TensorPlan& tensor : change_.tensors) {
    if (SplitTensorName(tensor.name).module != module ||
        !ParseRole(SplitTensorName(tensor.name).suffix) || tensor.name.ends_with(".bias")) {
      kept.push_back(std::move(tensor));
    } else if (tensor.name.ends_with("_second")) {
      tensor.action = TensorAction::kDrop;
      tensor.reason = "the layer has one scale a row now";
      change_.dropped.push_back(std::move(tensor));
    }
  }
  const auto add = [&](Role role, DType dtype, Shape shape) {
    TensorPlan plan = anchor;
    plan.name = fmt::format("{}.{}", module, RoleSuffix(role));
    plan.action = TensorAction::kCompute;
    plan.from = dtype;
    plan.to = dtype;
    plan.shape = std::move(shape);
    plan.loss = LossClass::kRequantized;
    plan.sqnr_db = measured.loss.SqnrDb();
    plan.reason = "int4 codes with one scale a row, from codes with scales of groups";
    plan.work_bytes = 4 * layer->n() * layer->k();
    plan.make = [reader = reader_, layer, role, form, packing](const Checkpoint&) {
      return MakeRole(*reader, *layer, role, form, packing);
    };
    kept.push_back(std::move(plan));
  };
  add(Role::kWeight, DType::kI8, packed);
  add(Role::kWeightScale, DType::kF32, {layer->n(), 1});
  add(Role::kWeightOffset, DType::kF32, {layer->n(), 1});
  add(Role::kScaleBias, DType::kF32, {layer->n(), form.columns});
  change_.tensors = std::move(kept);
  return measured.loss.SqnrDb();
}

Result<double> LayerRepair::CenterCache(const std::string& module) {
  const std::string scale_name = fmt::format("{}.kv_cache_scale", module);
  const std::string offset_name = fmt::format("{}.kv_cache_offset", module);
  SLIM_ASSIGN(const Tensor scale, change_.source.Read(scale_name));
  SLIM_ASSIGN(const Tensor offset, change_.source.Read(offset_name));
  if (scale.elements() != offset.elements()) {
    return InputError("LD-shape", "has another number of elements than its kv_cache_scale")
        .WithTensor(offset_name);
  }
  std::vector<float> scales(scale.elements());
  double widest = 1;
  for (uint64_t i = 0; i < scales.size(); ++i) {
    const float width = WidthAround(static_cast<float>(ElementAsDouble(offset.view(), i)));
    scales[i] = static_cast<float>(ElementAsDouble(scale.view(), i)) * width;
    widest = std::max(widest, static_cast<double>(width));
  }
  const std::string reason = fmt::format("around zero: steps up to {:.3g} times as wide", widest);
  LayerLoss rounding;
  SLIM_ASSIGN(Tensor wider,
              RoundFloats(scales, scale.shape, scale.dtype, Meaning::kScales, rounding));
  Replace(scale_name, std::move(wider), widest - 1, reason);
  Tensor zeros(offset.dtype, offset.shape);
  std::ranges::fill(zeros.data.bytes(), std::byte{0});
  Replace(offset_name, std::move(zeros), widest - 1, reason);
  return widest;
}

}  // namespace slim
