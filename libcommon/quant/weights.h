// One linear layer from float to codes: channels quantized, scales and offsets folded, each part in
// the dtype the layout stores. Touches no file.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "linear/int8.h"
#include "linear/linear_record.h"
#include "parallel/thread_pool.h"
#include "quant/plan.h"

namespace slim {

struct WeightInput {
  TensorView weight;                            // [n, k], F32, F16 or BF16
  std::optional<TensorView> bias;               // [n]
  std::optional<QuantizationRange> activation;  // static types
  // Σ x² of each input channel over the calibration text, [k] or empty: methods that weigh columns.
  std::span<const float> importance;
  std::span<const float> mean;     // [k] or empty: of the inputs; bias correction
  std::span<const float> moments;  // [k, k] or empty: lower triangle of a multiple of Σ x xᵀ
  // The memory of `moments`, where nobody reads them afterwards: gptq then works in it.
  std::vector<float>* spent_moments = nullptr;
};

inline constexpr std::string_view kNotFiniteRule = "QU-not-finite";
// kNotFiniteRule: `tensor` of the source holds NaN or infinity.
Error NotFiniteError(std::string_view tensor);
// QU-beyond-range: finite in the source, but not when smoothed, rotated or rounded in `dtype`.
Error BeyondRangeError(std::string_view tensor, DType dtype);

// Errors: NaN or infinity in the weight or bias (QU-not-finite, names the tensor and the row); a
// quant_bias beyond int32.
Result<LinearRecord> QuantizeLinear(const LinearPlan& linear, const WeightInput& input,
                                    const QuantOptions& options, DType model_dtype,
                                    ThreadPool& pool);

// A float weight [n, k] in another dtype, rounded once. Under `name`, NaN or infinity in it is
// QU-not-finite, made by the rounding QU-beyond-range.
Result<Tensor> CastFloat(const std::string& name, const TensorView& weight, DType dtype,
                         ThreadPool& pool);

}  // namespace slim
