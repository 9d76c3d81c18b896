// What quantization does to the numbers a block computes with while it is calibrated: inputs and
// weights through their codes and back (facts: algorithms.md 2.2, 2.4).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "linear/int8.h"
#include "linear/linear_record.h"
#include "parallel/thread_pool.h"
#include "quant/recipe.h"

namespace slim {

// y = dequantized(quantized(x)), every step rounded to `compute`. Static types use `range`; types
// whose scales are taken at run time use one range of all of x, as msModelSlim does while it
// calibrates; float inputs are copied. `count` values.
void FakeQuantizeInput(const ActivationSettings& settings,
                       const std::optional<QuantizationRange>& range, DType compute, const float* x,
                       uint64_t count, float* y, ThreadPool& pool);

// The weight [n, k] that the codes of `record` stand for, in F32 rounded to `compute`.
Tensor DequantizedWeight(const LinearRecord& record, DType compute, ThreadPool& pool);

}  // namespace slim
