// Int4 weights: two's-complement nibbles, two a byte, and the correction `scale_bias` that kernels
// want beside them. The logical form is one code in [-8, 7] a byte, [n, k]. Facts: formats.md 6.5,
// 6.6, 13 row 6.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "linear/scheme.h"
#include "tensor/tensor.h"

namespace slim {

// Which two neighbours share a byte; the low nibble is the even one.
enum class Int4Packing : uint8_t {
  kNone,    // one code a byte, [n, k]
  kAlongN,  // rows 2i and 2i + 1: [n / 2, k]
  kAlongK,  // columns 2j and 2j + 1: [n, k / 2]
};

// How a layout that packs int4 (`packs`) stores a weight with `scale_columns` scales a row:
// W4A8_DYNAMIC along n; W4A16 along k with one scale a row, else along n; any other type unpacked.
Int4Packing Int4PackingOf(Scheme scheme, uint64_t scale_columns, bool packs);

// The stored shape of a logical [n, k]. LIN-odd where n or k cannot be halved; the error names no
// tensor.
Result<Shape> PackedInt4Shape(uint64_t n, uint64_t k, Int4Packing packing);

// `codes` is I8 [n, k], whatever the high nibbles hold. Errors as PackedInt4Shape.
Result<Tensor> PackInt4(const Tensor& codes, Int4Packing packing);
// `packed` is an I8 matrix, already checked to have two dimensions.
Tensor UnpackInt4(const Tensor& packed, Int4Packing packing);

// scale_bias of W4A8_DYNAMIC: kernels compute on unsigned nibbles (q + 8), and 8 · Σ_k q · scale is
// what that costs. Its columns, each a sum over as many equal parts of k, follow from the module's
// name (formats.md 6.6): 16 for projections that tensor parallelism splits along k (down_proj,
// o_proj, w2), 1 for all others. With `as_msmodelslim` names that its lists do not know get k
// columns with factor 1: the dequantized weight itself. LIN-odd where k does not divide by 16.
struct ScaleBiasForm {
  uint64_t columns = 1;
  float factor = 8;
};
Result<ScaleBiasForm> ScaleBiasFormOf(std::string_view module, uint64_t k, bool as_msmodelslim);
// One row: `codes` [k], `out` [columns]. Sums are exact integers, rounded once; with
// `as_msmodelslim` float32 products in torch's order.
void ScaleBiasRow(std::span<const int8_t> codes, float scale, float factor, bool as_msmodelslim,
                  std::span<float> out);

}  // namespace slim
