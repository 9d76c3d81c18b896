#include "convert/input_columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "convert/dequantize.h"
#include "linear/int8.h"
#include "linear/w8a8.h"

namespace slim {
namespace {

void SetScalar(Tensor& tensor, float value) {
  tensor = Tensor::FromFloats({1}, std::vector<float>{value});
}

// The least range that holds those of all columns.
QuantizationRange RangeOfAll(std::span<const float> scales, std::span<const float> offsets) {
  float low = INFINITY;
  float high = -INFINITY;
  for (size_t j = 0; j < scales.size(); ++j) {
    low = std::min(low, (-128 - offsets[j]) * scales[j]);
    high = std::max(high, (127 - offsets[j]) * scales[j]);
  }
  QuantizationRange range;
  range.scale = (high - low) / 255.0F;
  range.offset = std::clamp(std::nearbyint(-128.0F - low / range.scale), -128.0F, 127.0F);
  return range;
}

}  // namespace

bool InputsDiffer(const LogicalLayer& layer) {
  return HasStaticActivations(layer.scheme) && layer.Has(Role::kInputScale) &&
         ElementCount(layer.part(Role::kInputScale)->shape).value_or(0) > 1;
}

bool InputsDiffer(const LinearRecord& record) {
  return HasStaticActivations(record.scheme) && record.Has(Role::kInputScale) &&
         record[Role::kInputScale].elements() > 1;
}

Status CheckInputColumns(const LinearRecord& record) {
  const std::vector<float> scales = PartAsFloats(record, Role::kInputScale);
  const bool sound = std::ranges::all_of(scales, [](float s) { return s > 0 && std::isfinite(s); });
  if (sound && scales.size() == record.k() && record[Role::kInputOffset].elements() == record.k() &&
      record[Role::kDeqScale].elements() == record.n()) {
    return {};
  }
  return InputError("CV-input-scale",
                    "input_scale has a value that is not positive, or not one a column",
                    "the source is damaged: fetch it again");
}

ColumnWeights::ColumnWeights(const LinearRecord& record)
    : record_(record),
      input_scales_(PartAsFloats(record, Role::kInputScale)),
      deq_scales_(PartAsFloats(record, Role::kDeqScale)) {}

void ColumnWeights::Dequantize(uint64_t n_index, std::span<float> row) const {
  const double deq = deq_scales_[n_index];
  const auto codes = record_[Role::kWeight].as<int8_t>().subspan(n_index * row.size(), row.size());
  for (size_t j = 0; j < row.size(); ++j)
    row[j] = static_cast<float>(codes[j] * (deq / static_cast<double>(input_scales_[j])));
}

Status FoldInputs(LinearRecord& record, LayerLoss& loss) {
  SLIM_TRY(CheckInputColumns(record));
  const std::vector<float> scales = PartAsFloats(record, Role::kInputScale);
  const std::vector<float> offsets = PartAsFloats(record, Role::kInputOffset);
  const QuantizationRange range = RangeOfAll(scales, offsets);
  const uint64_t k = record.k();
  Tensor codes(DType::kI8, {record.n(), k});
  std::vector<float> weight_scales(record.n());
  std::vector<float> deq(record.n());
  std::vector<float> row(k);
  const ColumnWeights weights(record);
  for (uint64_t i = 0; i < record.n(); ++i) {
    weights.Dequantize(i, row);
    const auto out = codes.as<int8_t>().subspan(i * k, k);
    weight_scales[i] = QuantizeByRange(row, 8, true, DType::kF32, out).scale;
    deq[i] = range.scale * weight_scales[i];
    AccountCodes(row, out, weight_scales[i], loss);
  }
  const auto [finest, widest] = std::ranges::minmax(scales);
  loss.note = fmt::format(
      "input_scale differs between columns ({:.6g} to {:.6g}): one range for all, steps of the "
      "input up to {:.3g} times as wide, the weight quantized anew",
      finest, widest, range.scale / finest);
  record[Role::kWeight] = std::move(codes);
  record[Role::kWeightScale] = Tensor::FromFloats({record.n(), 1}, weight_scales);
  record[Role::kDeqScale] = Tensor::FromFloats({record.n()}, deq);
  SetScalar(record[Role::kInputScale], range.scale);
  SetScalar(record[Role::kInputOffset], range.offset);
  return {};
}

}  // namespace slim
