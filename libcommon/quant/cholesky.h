// Symmetric positive definite matrices [k, k] in float32: the Cholesky factor and its inverse.
// Sums have a fixed order: bits depend neither on threads nor on the instruction set.
#pragma once

#include <cstdint>
#include <vector>

#include "parallel/thread_pool.h"

namespace slim {

// L of A = L Lᵀ, in place in the lower triangle; false when A is not positive definite.
bool CholeskyLower(std::vector<float>& a, uint64_t k, ThreadPool& pool);
// Columns of L⁻¹ as rows: inverse[j, i] for i >= j.
std::vector<float> InvertLower(const std::vector<float>& l, uint64_t k, ThreadPool& pool);
// A⁻¹ of A = L Lᵀ, from InvertLower.
std::vector<float> InverseOf(const std::vector<float>& inverse_lower, uint64_t k, ThreadPool& pool);

}  // namespace slim
