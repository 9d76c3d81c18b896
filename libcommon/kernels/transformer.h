// The elementwise pieces of a decoder in float32, for one row of n values. Sums run in the 16 lanes
// of kernels/matmul.h. Input and output may be the same array.
#pragma once

#include <cstdint>

namespace slim {

// y = weight * (x * (1 / sqrt(mean(x^2) + eps))), in the order of Qwen2RMSNorm of transformers in
// float32.
void RmsNorm(const float* x, const float* weight, uint64_t n, float eps, float* y);
// out = silu(gate) * up, where silu(g) = g / (1 + exp(-g)).
void SiluMul(const float* gate, const float* up, uint64_t n, float* out);
// The same of [rows, n]; the rows of out are `stride` apart.
void SiluMulRows(const float* gate, const float* up, uint64_t rows, uint64_t n, float* out,
                 uint64_t stride);
// In place: exp(v - max) / sum. n > 0.
void Softmax(float* values, uint64_t n);
void AddInPlace(float* y, const float* x, uint64_t n);  // y += x
// y += a * x, one fused multiply-add an element.
void Axpy(float a, const float* x, float* y, uint64_t n);

}  // namespace slim
