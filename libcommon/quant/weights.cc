#include "quant/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "dtype/scalar_convert.h"
#include "kernels/convert.h"
#include "kernels/quantize.h"
#include "kernels/reduce.h"
#include "linear/fp8.h"
#include "linear/int4.h"
#include "linear/mx.h"
#include "linear/w8a8.h"
#include "quant/linear_parts.h"
#include "quant/weight_gptq.h"
#include "quant/weight_integer.h"
#include "quant/weight_rows.h"
#include "quant/weight_sparse.h"

namespace slim {
namespace {

constexpr uint64_t kRowsPerTask = 16;

void StoreFloats(std::span<const float> values, Tensor& to) {
  if (to.dtype == DType::kI64) {
    for (size_t i = 0; i < values.size(); ++i) to.as<int64_t>()[i] = FloatToDeqBits(values[i]);
  } else {
    FromFloat(to.dtype, values.data(), to.data.data(), values.size());
  }
}

// One linear on its way: the record in logical form until Pack.
class LinearQuantizer {
 public:
  LinearQuantizer(const LinearPlan& linear, const WeightInput& input, const Recipe& recipe,
                  DType model_dtype, ThreadPool& pool)
      : linear_(linear),
        input_(input),
        recipe_(recipe),
        pool_(pool),
        rows_{input.weight,
              {},
              recipe.compute == ComputeMode::kModel ? input.weight.dtype : DType::kF32} {
    record_.name = linear.name;
    record_.scheme = linear.scheme;
    for (auto& [role, spec] : QuantizedParts(linear, recipe, model_dtype)) {
      if (role != Role::kWeight) record_[role] = Tensor(spec.dtype, spec.shape);
    }
  }

  Result<LinearRecord> Run() {
    if (!IsFinite(input_.weight, pool_))
      return NotFiniteError(fmt::format("{}.weight", linear_.name));
    SLIM_TRY(LoadBias());
    switch (linear_.scheme) {
      case Scheme::kWFP8AFP8Dynamic:
        QuantizeFp8();
        CorrectBias();
        break;
      case Scheme::kW8A8MXFP8:
        QuantizeMx(MxElement::kFp8);
        CorrectBias();
        break;
      case Scheme::kW4A8MXFP:
      case Scheme::kW4A4MXFP4:
        QuantizeMx(MxElement::kFp4);
        CorrectBias();
        break;
      case Scheme::kW16A16S:
        SLIM_TRY(Prune());
        return std::move(record_);
      default:
        SLIM_TRY(QuantizeCodes());
    }
    SLIM_TRY(PackWeight(record_, TraitsOf(recipe_.layout).packs_int4));
    return std::move(record_);
  }

 private:
  Status LoadBias() {
    if (!input_.bias) return {};
    bias_.resize(linear_.n);
    ToFloat(input_.bias->dtype, input_.bias->bytes.data(), bias_.data(), bias_.size());
    if (!AllFinite(bias_.data(), bias_.size()))
      return NotFiniteError(fmt::format("{}.bias", linear_.name));
    StoreFloats(bias_, record_[Role::kBias]);
    return {};
  }

  // The mean over the calibration inputs of what quantizing the weight takes off each output goes
  // into the bias: E[(W − Ŵ) x] = (W − Ŵ) E[x]. `restore(i, row)` gives row i of Ŵ.
  template <class Restore>
  void CorrectBias(const Restore& restore) {
    if (!CorrectsBias(linear_) || input_.mean.empty()) return;
    bias_.resize(linear_.n);
    pool_.ParallelFor(linear_.n, kRowsPerTask, [&](uint64_t begin, uint64_t end) {
      std::vector<float> row(linear_.k);
      std::vector<float> restored(linear_.k);
      for (uint64_t i = begin; i < end; ++i) {
        rows_.Load(i, row);
        restore(i, std::span(restored));
        double lost = 0;
        for (uint64_t j = 0; j < linear_.k; ++j)
          lost += (static_cast<double>(row[j]) - restored[j]) * input_.mean[j];
        bias_[i] += static_cast<float>(lost);
      }
    });
    if (!record_[Role::kBias].empty()) StoreFloats(bias_, record_[Role::kBias]);
  }

  void CorrectBias() {
    CorrectBias([&](uint64_t i, std::span<float> row) { DequantizeWeightRow(record_, i, row); });
  }

  template <class Body>
  void ForRows(const Body& body) {
    pool_.ParallelFor(linear_.n, kRowsPerTask, [&](uint64_t begin, uint64_t end) {
      std::vector<float> row(linear_.k);
      for (uint64_t i = begin; i < end; ++i) {
        rows_.Load(i, row);
        body(i, std::span<const float>(row));
      }
    });
  }

  // Weights stay floats, in the dtype they are written in.
  Status Prune() {
    auto pruned = PruneWeight(rows_, linear_.weight.sparse_fraction, input_.moments, pool_);
    if (!pruned.ok()) return std::move(pruned).error().WithTensor(linear_.name);
    TrimMantissas(*pruned, linear_.k, input_.moments);
    Tensor& weight = record_[Role::kWeight];
    weight = Tensor(recipe_.dtype.value_or(linear_.weight_dtype), {linear_.n, linear_.k});
    FromFloat(weight.dtype, pruned->data(), weight.data.data(), pruned->size());
    return {};
  }

  void QuantizeFp8() {
    record_[Role::kWeight] = Tensor(DType::kF8E4M3, {linear_.n, linear_.k});
    const auto bytes = record_[Role::kWeight].as<uint8_t>();
    const auto scales = record_[Role::kWeightScale].as<float>();
    ForRows([&](uint64_t i, std::span<const float> row) {
      scales[i] = QuantizeRowFp8(row, rows_.compute, bytes.subspan(i * row.size(), row.size()));
    });
    const auto offsets = record_[Role::kWeightOffset].as<float>();
    std::fill(offsets.begin(), offsets.end(), 0.0F);
  }

  void QuantizeMx(MxElement element) {
    const DType dtype = element == MxElement::kFp8 ? DType::kF8E4M3 : DType::kU8;
    record_[Role::kWeight] = Tensor(dtype, {linear_.n, linear_.k});
    const auto codes = record_[Role::kWeight].as<uint8_t>();
    const auto exponents = record_[Role::kWeightScale].as<uint8_t>();
    const uint64_t blocks = MxBlocks(linear_.k);
    ForRows([&](uint64_t i, std::span<const float> row) {
      QuantizeRowMx(row, element, rows_.compute, codes.subspan(i * row.size(), row.size()),
                    exponents.subspan(i * blocks, blocks));
    });
  }

  // Without calibration inputs, as of an expert that no token reached, gptq is its range.
  Result<IntegerWeight> ChooseCodes() {
    if (linear_.scheme == Scheme::kW8A8S) return QuantizeSparse(rows_, linear_.weight, pool_);
    if (linear_.weight.method == WeightMethod::kGptq && !input_.moments.empty()) {
      std::vector<float> moments =
          input_.spent_moments != nullptr
              ? std::move(*input_.spent_moments)
              : std::vector<float>(input_.moments.begin(), input_.moments.end());
      auto weight = QuantizeGptq(rows_, linear_.weight, std::move(moments),
                                 recipe_.compute == ComputeMode::kModel, pool_);
      if (!weight.ok()) return std::move(weight).error().WithTensor(linear_.name);
      return weight;
    }
    return QuantizeIntegers(rows_, linear_.weight, input_.importance,
                            recipe_.compute == ComputeMode::kModel, pool_);
  }

  Status QuantizeCodes() {
    SLIM_ASSIGN(IntegerWeight weight, ChooseCodes());
    record_[Role::kWeight] = std::move(weight.codes);
    const uint64_t group = linear_.k / (weight.scale.size() / linear_.n);
    CorrectBias([&](uint64_t i, std::span<float> row) {
      const auto codes = record_[Role::kWeight].as<int8_t>().subspan(i * linear_.k, linear_.k);
      for (uint64_t at = 0; at < linear_.k; at += group) {
        const uint64_t unit = (i * linear_.k + at) / group;
        DequantizeRow(codes.data() + at, group, weight.scale[unit], weight.offset[unit],
                      row.data() + at);
      }
    });
    if (!record_[Role::kWeightScale].empty()) {
      StoreFloats(weight.scale, record_[Role::kWeightScale]);
      StoreFloats(weight.offset, record_[Role::kWeightOffset]);
    }
    if (!record_[Role::kScaleBias].empty()) SLIM_TRY(FillScaleBias(weight.scale));
    if (!record_[Role::kDeqScale].empty()) return FoldStatic(weight.scale);
    return {};
  }

  Status FillScaleBias(std::span<const float> scale) {
    const bool as_written = recipe_.compute == ComputeMode::kModel;
    SLIM_ASSIGN(const ScaleBiasForm form, ScaleBiasFormOf(linear_.name, linear_.k, as_written));
    const auto codes = record_[Role::kWeight].as<int8_t>();
    const auto out = record_[Role::kScaleBias].as<float>();
    for (uint64_t i = 0; i < linear_.n; ++i) {
      ScaleBiasRow(codes.subspan(i * linear_.k, linear_.k), scale[i], form.factor, as_written,
                   out.subspan(i * form.columns, form.columns));
    }
    if (std::ranges::all_of(out, [](float value) { return std::isfinite(value); })) return {};
    return InputError("QU-not-finite", "its weights are so large that scale_bias is infinite",
                      "w4a16 has no scale_bias")
        .WithTensor(linear_.name + ".weight");
  }

  Status FoldStatic(std::span<const float> scale) {
    const FoldRounding rounding =
        recipe_.compute == ComputeMode::kModel ? FoldRounding::kAsWritten : FoldRounding::kOnce;
    const QuantizationRange& activation = *input_.activation;
    uint64_t saturated = 0;
    const StaticFold fold =
        FoldStaticW8A8(record_[Role::kWeight].as<int8_t>(), linear_.n, linear_.k, scale, activation,
                       bias_, rows_.compute, rounding, &saturated);
    if (saturated > 0) {
      return InputError("QU-bias-overflow",
                        fmt::format("{} values of quant_bias do not fit in 32 bits", saturated),
                        "keep the layer in float with --disable-names")
          .WithTensor(fmt::format("{}.quant_bias", linear_.name));
    }
    StoreFloats({&activation.scale, 1}, record_[Role::kInputScale]);
    StoreFloats({&activation.offset, 1}, record_[Role::kInputOffset]);
    StoreFloats(fold.deq_scale, record_[Role::kDeqScale]);
    std::memcpy(record_[Role::kQuantBias].data.data(), fold.quant_bias.data(),
                fold.quant_bias.size() * sizeof(int32_t));
    return {};
  }

  const LinearPlan& linear_;
  const WeightInput& input_;
  const Recipe& recipe_;
  ThreadPool& pool_;
  const WeightRows rows_;
  LinearRecord record_;
  std::vector<float> bias_;
};

}  // namespace

Error NotFiniteError(std::string_view tensor) {
  return InputError(std::string(kNotFiniteRule), "holds NaN or infinity",
                    "the source checkpoint is damaged, fetch it again")
      .WithTensor(tensor);
}

Error BeyondRangeError(std::string_view tensor, DType dtype) {
  return InputError(
             "QU-beyond-range",
             fmt::format("is finite in the source, what becomes of it is beyond the range of {}",
                         DTypeName(dtype)),
             "--dtype bf16 reaches further, --compute fp32 rounds only what is written, "
             "--smooth none scales nothing")
      .WithTensor(tensor);
}

Result<LinearRecord> QuantizeLinear(const LinearPlan& linear, const WeightInput& input,
                                    const QuantOptions& options, DType model_dtype,
                                    ThreadPool& pool) {
  return LinearQuantizer(linear, input, options.recipe, model_dtype, pool).Run();
}

Result<Tensor> CastFloat(const std::string& name, const TensorView& weight, DType dtype,
                         ThreadPool& pool) {
  Tensor cast(dtype, weight.shape);
  const uint64_t k = weight.shape[1];
  const uint64_t from_bytes = k * (DTypeBits(weight.dtype) / 8);
  const uint64_t to_bytes = k * (DTypeBits(dtype) / 8);
  std::atomic<bool> finite = true;
  std::atomic<bool> fits = true;
  pool.ParallelFor(weight.shape[0], kRowsPerTask, [&](uint64_t begin, uint64_t end) {
    std::vector<float> row(k);
    for (uint64_t i = begin; i < end; ++i) {
      ToFloat(weight.dtype, weight.bytes.data() + i * from_bytes, row.data(), k);
      if (!AllFinite(row.data(), k)) finite = false;
      RoundToDType(dtype, row.data(), k);
      if (!AllFinite(row.data(), k)) fits = false;
      FromFloat(dtype, row.data(), cast.data.data() + i * to_bytes, k);
    }
  });
  if (!finite) return NotFiniteError(name);
  if (!fits) return BeyondRangeError(name, dtype);
  return cast;
}

}  // namespace slim
