// One linear layer that can be computed: y = x Wᵀ + b on the stored weights of every type that has
// an arithmetic (linear/linear_record.h, CanDequantize); any other is RUN-unsupported-type, which
// names label and module. Activations are float32; integer products are exact.
//
// Arithmetic (facts: consumers.md 7, formats.md 6):
//   W8A8, W8A8S   q = clamp(rne(x / input_scale) + input_offset); y = float(q·W + quant_bias) ·
//                 deq_scale. A bias is inside quant_bias already.
//   W8A8_DYNAMIC, W4A8_DYNAMIC, W4A4_DYNAMIC
//                 s = max|x| / 127 (int4: / 7) of the token; q = rne(x / s); y = float(q·W) ·
//                 weight_scale · s + bias. With groups: Σ_g float(q_g·W_g) · scale_g, in order.
//                 What a stored scale_bias differs from 8 · Σ W · weight_scale, the value kernels
//                 count on, is added before the token's scale.
//   W8A8_MIX      as W8A8_DYNAMIC in prefill, as W8A8 in decode
//   W8A16, W4A16  y = x · ((W − weight_offset) · weight_scale)ᵀ + bias
//   WFP8AFP8      s = max|x| / 448 of the token; e4m3(x / s)·W · weight_scale · s + bias
//   MX types      x rounded to blocks of its own (linear/mx.h); y = x · Wᵀ + bias
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "kernels/packed_matmul.h"
#include "kernels/packed_matrix.h"
#include "linear/linear_record.h"
#include "parallel/thread_pool.h"

namespace slim {

// kReference: bit-defined; the same bits for any number of threads, any instruction set and any
// cut of a sequence into calls. kFast: float products may be summed in another order; integer
// products are the same.
enum class Backend : uint8_t { kReference, kFast };

// What a call serves; only W8A8_MIX asks.
enum class Phase : uint8_t { kPrefill, kDecode };

// What weights of bf16 and fp16 are multiplied with: inputs as they are, or rounded to the dtype of
// the weight, as engines have them that compute in it. kFast then takes the processor's own
// products of bf16 where it has them (kernels/packed_matmul.h, MatMulBf16).
enum class FloatInputs : uint8_t { kFp32, kAsWeight };

// Codes times codes, summed in int32.
bool HasIntegerProduct(Scheme scheme);
// The weight is stored as the floats that it is computed with.
bool HasFloatWeight(Scheme scheme);

// An input as integer products take it; token scales where a layer has them.
struct QuantizedInput {
  PackedCodes codes;
  std::vector<float> token_scales;
};

class LinearLayer {
 public:
  LinearLayer() = default;
  // Codes, and for kFast float weights, are packed for products (kernels/packed_matrix.h); kFast
  // dequantizes the others first, at the cost of memory. Forward of kReference gives the same bits
  // whatever was prepared; a layer loaded for it computes so whatever is asked. Errors:
  // RUN-unsupported-type, RUN-unsupported-shape, those of ReadLinear, and LIN-shape when the weight
  // is not [n, k].
  static Result<LinearLayer> Load(const Checkpoint& checkpoint, std::string_view module, uint64_t n,
                                  uint64_t k, Backend backend);
  // `record` has passed CheckRecord.
  static Result<LinearLayer> FromRecord(LinearRecord record, Backend backend);

  const std::string& name() const { return record_.name; }
  // Of a float layer that was loaded for kReference the stored weight and bias.
  const LinearRecord& record() const { return record_; }
  // The same, given away.
  LinearRecord TakeRecord() && { return std::move(record_); }
  Scheme scheme() const { return record_.scheme; }
  uint64_t n() const { return record_.n(); }
  uint64_t k() const { return record_.k(); }
  uint64_t bytes() const;

  // x [t, k] → y [t, n].
  void Forward(const float* x, uint64_t t, float* y, Backend backend, ThreadPool& pool,
               Phase phase = Phase::kPrefill, FloatInputs inputs = FloatInputs::kFp32) const;
  // Whether both compute the same codes and scales of an input and sum them in one product: one
  // QuantizedInput then serves both.
  bool SharesInput(const LinearLayer& other, Phase phase) const;
  // Forward of several layers with one input, which is quantized once: the first shares it with
  // every other. y: one array a layer.
  static void ForwardTogether(std::span<const LinearLayer* const> layers, const float* x,
                              uint64_t t, std::span<float* const> y, ThreadPool& pool, Phase phase);
  // y = silu(gate's output) * up's output, [t, n], of layers of one shape that share their input:
  // what SiluMul makes of the two, without keeping them.
  static void ForwardGated(const LinearLayer& gate, const LinearLayer& up, const float* x,
                           uint64_t t, float* y, ThreadPool& pool, Phase phase);
  // The activation codes that a layer with integer products computes of x: [t, k], and for
  // per-token scales one a token (else `token_scales` is left alone and may be null).
  void QuantizeInput(const float* x, uint64_t t, int8_t* codes, float* token_scales,
                     ThreadPool& pool, Phase phase = Phase::kPrefill) const;
  // One row of the weight as floats, as of an embedding; `index` < n.
  void WeightRow(uint64_t index, float* row) const;

 private:
  bool IsDynamic(Phase phase) const;
  Status PrepareInteger();
  void PrepareGroups();
  void PackCodes();
  void PrepareCorrection();
  void PrepareFloat(Backend backend);
  void QuantizeRows(const float* x, uint64_t rows, bool dynamic, int8_t* codes,
                    float* token_scales) const;
  void PackInput(const float* x, uint64_t t, Phase phase, QuantizedInput& input,
                 ThreadPool& pool) const;
  // A block of sums to outputs, bias included; y's rows are `stride` apart.
  void ScaleBlock(const Int8Sums& block, const QuantizedInput& input, bool dynamic, float* y,
                  uint64_t stride) const;
  void ForwardGroups(const float* x, uint64_t t, float* y, ThreadPool& pool) const;
  void ForwardFloat(const float* x, uint64_t t, float* y, Backend backend, FloatInputs inputs,
                    ThreadPool& pool) const;
  void ForwardTiles(const float* x, uint64_t t, float* y, ThreadPool& pool) const;
  // Activations as FP8 and MX types see them; false when the type takes x as it is.
  bool RoundInput(const float* x, uint64_t t, std::vector<float>& rounded,
                  std::vector<float>& token_scales, ThreadPool& pool) const;
  void AddBias(float* y, uint64_t t, ThreadPool& pool) const;

  LinearRecord record_;               // without the weight where it is packed
  std::vector<PackedMatrix> packed_;  // the weight, or one matrix a group of codes
  std::vector<float> weight_scale_;   // [n], or [groups, n]
  std::vector<float> deq_scale_;      // [n], static types
  std::vector<int32_t> quant_bias_;   // [n]
  std::vector<float> correction_;     // [n] or empty
  std::vector<float> bias_;           // [n] or empty
  uint64_t groups_ = 1;
  float input_scale_ = 0;
  float input_offset_ = 0;
};

}  // namespace slim
