// W16A16S: weights pruned against the second moments of their inputs by ADMM, and what is left cut
// to a short mantissa, so that the compressor finds few different values (facts:
// algorithms.md 5.2). Codes of the sparse int8 type: quant/weight_integer.h.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "parallel/thread_pool.h"
#include "quant/weight_rows.h"

namespace slim {

// The weight [n, k] with `ratio` of its elements zero. `moments` [k, k], of which the lower
// triangle is read: any positive multiple of Σ x xᵀ, or empty (no input is known: the smallest
// weights go). QU-sparse: moments that are not finite.
Result<std::vector<float>> PruneWeight(const WeightRows& rows, double ratio,
                                       std::span<const float> moments, ThreadPool& pool);

// As fp16: mantissas rounded to quarters; below 2^-14 zero, from 2^-14 to 2^-9 a power of two.
// Elsewhere the 2 % that lose most, weighed by the root of `moments`' diagonal, keep theirs.
void TrimMantissas(std::span<float> weight, uint64_t k, std::span<const float> moments);

}  // namespace slim
