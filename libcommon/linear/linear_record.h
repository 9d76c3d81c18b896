// LinearRecord, the hub of the suite: one linear layer y = x Wᵀ + b in logical form, whatever
// dialect it came from. Every dialect reads into it and writes out of it; schemes compute on it. It
// knows no file.
#pragma once

#include <array>
#include <string>

#include "base/result.h"
#include "linear/scheme.h"
#include "tensor/tensor.h"

namespace slim {

// Parts by role; an absent one is empty. Shapes: weight [n, k]; bias, deq_scale, quant_bias [n];
// weight_scale and weight_offset [n, 1] or [n, groups] (MX types: U8 exponents + 127,
// [n, ceil(k / 32)]); weight_scale_second and weight_offset_second, whose scale multiplies
// weight_scale, [n, groups]; weight_dual_scale [n, blocks, 1]; scale_bias [n, 1 or 16 or k];
// input_scale and input_offset [1]. Dtypes: int8 and int4 codes I8, one a byte, int4 in [-8, 7];
// FP8 F8_E4M3; FP4 U8, one code 0 … 15 a byte; quant_bias I32; deq_scale F32 values or I64 float32
// bits; other scales, offsets and biases F32, F16 or BF16 as stored.
struct LinearRecord {
  std::string name;  // module name without suffix
  Scheme scheme = Scheme::kFloat;
  std::array<Tensor, kRoleCount> parts;

  Tensor& operator[](Role role) { return parts[static_cast<size_t>(role)]; }
  const Tensor& operator[](Role role) const { return parts[static_cast<size_t>(role)]; }
  bool Has(Role role) const { return !(*this)[role].empty(); }
  uint64_t n() const { return (*this)[Role::kWeight].shape.at(0); }
  uint64_t k() const { return (*this)[Role::kWeight].shape.at(1); }
};

// Schemes with an arithmetic of their own; the others (compressed weights, NF4, rotated FlatQuant
// weights, attention and cache types) only travel.
bool CanDequantize(Scheme scheme);

// Between the form a layout stores and the logical form above: FP4 codes are packed two a byte
// along k everywhere, int4 codes as linear/int4.h says where the layout packs them. Errors:
// LIN-shape, LIN-dtype, LIN-odd.
Status UnpackWeight(LinearRecord& record, bool packs_int4);
Status PackWeight(LinearRecord& record, bool packs_int4);

// The parts a scheme must have to be computed, and their shapes and dtypes agree; the error names
// the tensor, what was found and what was wanted. Schemes that only travel pass without being
// looked into.
Status CheckRecord(const LinearRecord& record);

// A part's values as float32, in order; for deq_scale the values whatever the encoding.
std::vector<float> PartAsFloats(const LinearRecord& record, Role role);

// Flips the signs of F32, F16 or BF16 values, zeros as they are; LIN-dtype for another dtype. An
// empty tensor stays empty.
Status NegateFloats(Tensor& tensor);

// One row of the weight as float32, dequantized: (q − weight_offset) · weight_scale (facts:
// formats.md 6.2; for static types without weight_scale, deq_scale / input_scale stands in). `row`
// has k elements; the record has passed CheckRecord and its scheme CanDequantize.
void DequantizeWeightRow(const LinearRecord& record, uint64_t n_index, std::span<float> row);
// The same of an int8 or int4 weight that the record itself no longer holds: `codes` is that row.
void DequantizeCodeRow(const LinearRecord& record, uint64_t n_index, std::span<const int8_t> codes,
                       std::span<float> row);

}  // namespace slim
