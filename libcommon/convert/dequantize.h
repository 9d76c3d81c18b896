// Layers in logical form as floats: rows of the weight, the bias that a static layer has folded
// away, and rounding to a model dtype with an account of it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "checkpoint/layer_reader.h"
#include "checkpoint/layer_rows.h"
#include "convert/layer_target.h"

namespace slim {

// The whole weight in `dtype` (F32, F16, BF16), accounted in `loss`: rounding is what is lost.
// CV-overflow where finite values become infinite, CV-not-finite where a row has no finite value.
Result<Tensor> DequantizeWeight(const LogicalLayer& layer, const LinearRecord& record, DType dtype,
                                LayerLoss& loss);

// What new codes of a row lose: `row` against codes times scale, added to `loss`.
void AccountCodes(std::span<const float> row, std::span<const int8_t> codes, float scale,
                  LayerLoss& loss);

// The float bias [n]: the stored one, else what quant_bias holds beyond the correction for the
// activation offset, (quant_bias + offset · Σ codes) · deq_scale; empty when every element of that
// is zero up to the rounding of the correction (facts: formats.md 6.4). Needs the weight.
std::vector<float> FloatBias(const LinearRecord& record);

// Floats of any model dtype in another one. The same errors; scales must not become zero either
// (CV-underflow).
enum class Meaning : uint8_t { kValues, kScales };
Result<Tensor> RoundPart(const Tensor& tensor, DType dtype, Meaning meaning, LayerLoss& loss);
Result<Tensor> RoundFloats(std::span<const float> values, Shape shape, DType dtype, Meaning meaning,
                           LayerLoss& loss);

}  // namespace slim
