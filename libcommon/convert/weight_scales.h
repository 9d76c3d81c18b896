// Weight scales as the int8 formats of other ecosystems want them: one a row, also where a static
// layer has only their product with input_scale. Internal to convert/.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "linear/linear_record.h"

namespace slim {

// The stored ones; else those with deq_scale = R(input_scale · weight_scale), R rounding to
// `model_dtype`: the quotient, or the neighbour whose product is exact.
std::vector<float> ImpliedWeightScales(const LinearRecord& record, DType model_dtype);

// `dtype` where it holds every value, else F32.
DType NarrowestExact(std::span<const float> values, DType dtype);

// CV-weight-offset where one is not zero; `format` is the one that has no place for it.
Status RefuseWeightOffsets(const LinearRecord& record, std::string_view format);

}  // namespace slim
