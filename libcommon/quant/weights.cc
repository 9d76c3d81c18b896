#include "quant/weights.h"

#include <fmt/format.h>

#include <atomic>
#include <cstring>

#include "base/bytes.h"
#include "dtype/scalar_convert.h"
#include "kernels/convert.h"
#include "kernels/reduce.h"
#include "linear/w8a8.h"

namespace slim {
namespace {

constexpr uint64_t kRowsPerTask = 16;

// One row as float32 with the column scales applied, rounded to `compute` as the fold in the
// weight's dtype would be.
void LoadRow(const TensorView& weight, uint64_t row, std::span<const float> column_scale,
             DType compute, std::span<float> values) {
  const uint64_t row_bytes = values.size() * (DTypeBits(weight.dtype) / 8);
  ToFloat(weight.dtype, weight.bytes.data() + row * row_bytes, values.data(), values.size());
  if (column_scale.empty()) return;
  for (size_t i = 0; i < values.size(); ++i) values[i] *= column_scale[i];
  RoundToDType(compute, values.data(), values.size());
}

void StoreFloats(std::span<const float> values, Tensor& to) {
  if (to.dtype == DType::kI64) {
    for (size_t i = 0; i < values.size(); ++i) to.as<int64_t>()[i] = FloatToDeqBits(values[i]);
  } else {
    FromFloat(to.dtype, values.data(), to.data.data(), values.size());
  }
}

}  // namespace

Error NotFiniteError(std::string_view tensor) {
  return InputError("QU-not-finite", "holds NaN or infinity",
                    "the source checkpoint is damaged, fetch it again")
      .WithTensor(tensor);
}

Result<LinearRecord> QuantizeLinear(const LinearPlan& linear, const WeightInput& input,
                                    const QuantOptions& options, DType model_dtype,
                                    ThreadPool& pool) {
  const DType compute =
      options.recipe.compute == ComputeMode::kModel ? input.weight.dtype : DType::kF32;
  const DType bias_dtype = input.bias ? input.bias->dtype : DType::kF32;
  LinearRecord record;
  record.name = linear.name;
  record.scheme = linear.scheme;
  for (auto& [role, spec] :
       QuantizedParts(linear, options.recipe.layout, model_dtype, bias_dtype)) {
    record[role] = Tensor(spec.dtype, spec.shape);
  }
  const auto codes = record[Role::kWeight].as<int8_t>();
  std::vector<float> scales(linear.n);
  std::atomic<bool> finite = true;
  pool.ParallelFor(linear.n, kRowsPerTask, [&](uint64_t begin, uint64_t end) {
    std::vector<float> row(linear.k);
    for (uint64_t i = begin; i < end; ++i) {
      LoadRow(input.weight, i, input.column_scale, compute, row);
      if (!AllFinite(row.data(), row.size())) {
        finite = false;
        return;
      }
      scales[i] = QuantizeChannelInt8(row, compute, codes.subspan(i * linear.k, linear.k));
    }
  });
  if (!finite) return NotFiniteError(fmt::format("{}.weight", linear.name));

  std::vector<float> bias(input.bias ? linear.n : 0);
  if (input.bias) {
    ToFloat(bias_dtype, input.bias->bytes.data(), bias.data(), bias.size());
    if (!AllFinite(bias.data(), bias.size()))
      return NotFiniteError(fmt::format("{}.bias", linear.name));
    StoreFloats(bias, record[Role::kBias]);
  }
  if (linear.scheme != Scheme::kW8A8) {
    StoreFloats(scales, record[Role::kWeightScale]);
    std::memset(record[Role::kWeightOffset].data.data(), 0,
                record[Role::kWeightOffset].data.size());
    return record;
  }
  const FoldRounding rounding = options.recipe.compute == ComputeMode::kModel
                                    ? FoldRounding::kAsWritten
                                    : FoldRounding::kOnce;
  uint64_t saturated = 0;
  const StaticFold fold = FoldStaticW8A8(codes, linear.n, linear.k, scales, *input.activation, bias,
                                         compute, rounding, &saturated);
  if (saturated > 0) {
    return InputError("QU-bias-overflow",
                      fmt::format("{} values of quant_bias do not fit in 32 bits", saturated),
                      "keep the layer in float with --disable-names")
        .WithTensor(fmt::format("{}.quant_bias", linear.name));
  }
  StoreFloats({&input.activation->scale, 1}, record[Role::kInputScale]);
  StoreFloats({&input.activation->offset, 1}, record[Role::kInputOffset]);
  StoreFloats(fold.deq_scale, record[Role::kDeqScale]);
  std::memcpy(record[Role::kQuantBias].data.data(), fold.quant_bias.data(),
              fold.quant_bias.size() * sizeof(int32_t));
  return record;
}

Result<Tensor> CastFloat(const std::string& name, const TensorView& weight, DType dtype,
                         ThreadPool& pool) {
  Tensor cast(dtype, weight.shape);
  const uint64_t k = weight.shape[1];
  const uint64_t from_bytes = k * (DTypeBits(weight.dtype) / 8);
  const uint64_t to_bytes = k * (DTypeBits(dtype) / 8);
  std::atomic<bool> finite = true;
  pool.ParallelFor(weight.shape[0], kRowsPerTask, [&](uint64_t begin, uint64_t end) {
    std::vector<float> row(k);
    for (uint64_t i = begin; i < end; ++i) {
      ToFloat(weight.dtype, weight.bytes.data() + i * from_bytes, row.data(), k);
      RoundToDType(dtype, row.data(), k);
      if (!AllFinite(row.data(), k)) finite = false;
      FromFloat(dtype, row.data(), cast.data.data() + i * to_bytes, k);
    }
  });
  if (!finite) return NotFiniteError(name);
  return cast;
}

}  // namespace slim
