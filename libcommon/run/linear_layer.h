// One linear layer that can be computed: y = x Wᵀ + b on the stored weights. Float weights (F32,
// BF16, F16), W8A8, W8A8_DYNAMIC and W8A16; any other type is RUN-unsupported-type, which names
// label and module. Activations are float32; integer products are exact.
//
// Arithmetic (facts: consumers.md 7.1, formats.md 6):
//   W8A8          q = clamp(rne(x / input_scale) + input_offset); y = float(q·W + quant_bias) ·
//                 deq_scale. A bias is inside quant_bias already.
//   W8A8_DYNAMIC  s = max|x| / 127 of the token; q = rne(x / s); y = float(q·W) · weight_scale · s
//                 + bias
//   W8A16         y = x · ((W − weight_offset) · weight_scale)ᵀ + bias
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "linear/linear_record.h"
#include "parallel/thread_pool.h"

namespace slim {

// kReference: bit-defined; the same bits for any number of threads, any instruction set and any
// cut of a sequence into calls. kFast: float products may be summed in another order; integer
// products are the same.
enum class Backend : uint8_t { kReference, kFast };

class LinearLayer {
 public:
  LinearLayer() = default;
  // kFast dequantizes W8A16 once, for time and at the cost of memory; results of either backend are
  // the same whatever was prepared. Errors: RUN-unsupported-type, RUN-unsupported-shape, those of
  // ReadLinear, and LIN-shape when the weight is not [n, k].
  static Result<LinearLayer> Load(const Checkpoint& checkpoint, std::string_view module, uint64_t n,
                                  uint64_t k, Backend backend);
  // `record` has passed CheckRecord.
  static Result<LinearLayer> FromRecord(LinearRecord record, Backend backend);

  const std::string& name() const { return record_.name; }
  // Of a float layer the stored weight and bias.
  const LinearRecord& record() const { return record_; }
  Scheme scheme() const { return record_.scheme; }
  uint64_t n() const { return record_.n(); }
  uint64_t k() const { return record_.k(); }
  uint64_t bytes() const;

  // x [t, k] → y [t, n].
  void Forward(const float* x, uint64_t t, float* y, Backend backend, ThreadPool& pool) const;
  // The activation codes that a W8A8 or W8A8_DYNAMIC layer computes of x: [t, k], and for
  // W8A8_DYNAMIC one scale a token (else `token_scales` is left alone and may be null).
  void QuantizeInput(const float* x, uint64_t t, int8_t* codes, float* token_scales,
                     ThreadPool& pool) const;
  // One row of a float weight, as of an embedding; `index` < n.
  void WeightRow(uint64_t index, float* row) const;

 private:
  void ForwardInt8(const float* x, uint64_t t, float* y, ThreadPool& pool) const;
  void ForwardWeightOnly(const float* x, uint64_t t, float* y, Backend backend,
                         ThreadPool& pool) const;
  void AddBias(float* y, uint64_t t, ThreadPool& pool) const;

  LinearRecord record_;
  Tensor dequantized_;               // [n, k] F32, of W8A16 prepared for kFast
  std::vector<float> output_scale_;  // [n]: deq_scale or weight_scale
  std::vector<int32_t> quant_bias_;  // [n]
  std::vector<float> bias_;          // [n] or empty
  float input_scale_ = 0;
  float input_offset_ = 0;
};

}  // namespace slim
