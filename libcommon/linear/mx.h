// Microscaling types: blocks of 32 along k share a power of two, stored as a biased exponent byte.
// MXFP8 elements are e4m3fn bytes; MXFP4 elements are e2m1 codes (0 … 15, bit 3 the sign), in
// logical form one a byte [n, k], in files two a byte [n, k / 2], low nibble the even column.
// Facts: formats.md 6.8 to 6.10; of activations consumers.md 7.1 (DynamicMxQuant).
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "dtype/dtype.h"
#include "tensor/tensor.h"

namespace slim {

inline constexpr uint64_t kMxBlock = 32;
inline constexpr uint64_t MxBlocks(uint64_t k) { return (k + kMxBlock - 1) / kMxBlock; }

enum class MxElement : uint8_t { kFp8, kFp4 };

// Weights as msModelSlim's minmax quantizers do it, the exponent's logarithm rounded to `compute`.
// One row [k]; `exponents` is [MxBlocks(k)]: the shared exponent + 127. No NaN.
void QuantizeRowMx(std::span<const float> values, MxElement element, DType compute,
                   std::span<uint8_t> codes, std::span<uint8_t> exponents);

// Activations as DynamicMxQuant: exponent floor(log2 amax) − emax, elements to nearest even,
// saturating. Writes the dequantized values over the row.
void RoundRowToMx(std::span<float> values, MxElement element);

float MxElementToFloat(uint8_t code, MxElement element);
void DequantizeRowMx(std::span<const uint8_t> codes, MxElement element,
                     std::span<const uint8_t> exponents, std::span<float> values);

// Between U8 [n, k] and U8 [n, k / 2]; LIN-odd for an odd k.
Result<Tensor> PackFp4(const Tensor& codes);
Tensor UnpackFp4(const Tensor& packed);

}  // namespace slim
