#include "convert/dequantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "convert/dtype_change.h"
#include "convert/input_columns.h"
#include "kernels/reduce.h"
#include "os/memory.h"

namespace slim {
namespace {

Status Accept(const RoundingLoss& rounding, DType dtype, Meaning meaning, LayerLoss& loss) {
  if (rounding.overflowed > 0) {
    return InputError(
        "CV-overflow",
        fmt::format("{} values become infinite in {}", rounding.overflowed, DTypeName(dtype)),
        "take bf16 or fp32");
  }
  if (rounding.to_zero > 0 && meaning == Meaning::kScales) {
    return InputError("CV-underflow", fmt::format("{} scales become zero in {}", rounding.to_zero,
                                                  DTypeName(dtype)));
  }
  loss.worst_relative_error = std::max(loss.worst_relative_error, rounding.worst_relative_error);
  loss.changed += rounding.changed;
  loss.to_zero += rounding.to_zero;
  return {};
}

uint64_t NonZero(std::span<const float> row) {
  return row.size() - static_cast<uint64_t>(std::ranges::count(row, 0.0F));
}

}  // namespace

double LayerLoss::SqnrDb() const {
  if (noise == 0) return std::numeric_limits<double>::infinity();
  return 10.0 * std::log10(signal / noise);
}

Result<Tensor> DequantizeWeight(const LogicalLayer& layer, const LinearRecord& record, DType dtype,
                                LayerLoss& loss) {
  const uint64_t k = layer.k();
  Tensor out(dtype, {layer.n(), k});
  PreferLargePages(out.data.bytes());
  std::vector<float> row(k);
  const uint64_t row_bytes = k * DTypeBits(dtype) / 8;
  std::optional<ColumnWeights> by_column;
  if (InputsDiffer(record)) {
    SLIM_TRY(CheckInputColumns(record));
    by_column.emplace(record);
  }
  for (uint64_t i = 0; i < layer.n(); ++i) {
    if (by_column) {
      by_column->Dequantize(i, row);
    } else {
      DequantizeLayerRow(layer, record, i, row);
    }
    if (!AllFinite(row.data(), k)) {
      return InputError("CV-not-finite", fmt::format("row {} is not finite", i),
                        "the source is damaged: fetch it again");
    }
    const TensorView view{DType::kF32, {k}, std::as_bytes(std::span(row))};
    SLIM_ASSIGN(const RoundingLoss rounding,
                ChangeDType(view, dtype, out.data.bytes().subspan(i * row_bytes, row_bytes),
                            loss.worst_relative_error));
    if (rounding.to_zero > 0 && rounding.to_zero == NonZero(row)) {
      return InputError("CV-underflow",
                        fmt::format("all values of row {} become zero in {}", i, DTypeName(dtype)),
                        "take bf16 or fp32");
    }
    SLIM_TRY(Accept(rounding, dtype, Meaning::kValues, loss));
  }
  return out;
}

void AccountCodes(std::span<const float> row, std::span<const int8_t> codes, float scale,
                  LayerLoss& loss) {
  double signal = 0;
  double noise = 0;
  for (size_t j = 0; j < row.size(); ++j) {
    const double error = static_cast<double>(row[j]) - static_cast<double>(codes[j]) * scale;
    signal += static_cast<double>(row[j]) * row[j];
    noise += error * error;
  }
  loss.signal += signal;
  loss.noise += noise;
  if (noise > 0) ++loss.changed;
}

std::vector<float> FloatBias(const LinearRecord& record) {
  if (record.Has(Role::kBias)) return PartAsFloats(record, Role::kBias);
  if (!record.Has(Role::kQuantBias) || !record.Has(Role::kDeqScale)) return {};
  const double offset = record.Has(Role::kInputOffset)
                            ? static_cast<double>(PartAsFloats(record, Role::kInputOffset)[0])
                            : 0.0;
  const std::vector<float> deq = PartAsFloats(record, Role::kDeqScale);
  const auto quant_bias = record[Role::kQuantBias].as<int32_t>();
  const auto codes = record[Role::kWeight].as<int8_t>();
  std::vector<float> bias(record.n());
  bool any = false;
  for (uint64_t i = 0; i < bias.size(); ++i) {
    const double correction =
        offset * static_cast<double>(SumInt8(codes.data() + i * record.k(), record.k()));
    const double rest = static_cast<double>(quant_bias[i]) + correction;
    bias[i] = static_cast<float>(rest * static_cast<double>(deq[i]));
    any = any || std::abs(rest) > std::max(0.5, std::abs(correction) * 0x1p-23);
  }
  if (!any) bias.clear();
  return bias;
}

Result<Tensor> RoundPart(const Tensor& tensor, DType dtype, Meaning meaning, LayerLoss& loss) {
  Tensor out(dtype, tensor.shape);
  if (tensor.dtype == dtype) {
    std::memcpy(out.data.data(), tensor.data.data(), tensor.data.size());
    return out;
  }
  SLIM_ASSIGN(const RoundingLoss rounding, ChangeDType(tensor.view(), dtype, out.data.bytes()));
  SLIM_TRY(Accept(rounding, dtype, meaning, loss));
  return out;
}

Result<Tensor> RoundFloats(std::span<const float> values, Shape shape, DType dtype, Meaning meaning,
                           LayerLoss& loss) {
  return RoundPart(Tensor::FromFloats(std::move(shape), values), dtype, meaning, loss);
}

}  // namespace slim
