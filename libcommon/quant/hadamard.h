// Random Hadamard rotations: orthogonal matrices whose entries are all ±1/√n, applied without being
// formed where the order allows it. R = diag(signs) · Hᵀ / √n, where H = H_k ⊗ S, S the Sylvester
// matrix of a power of two and H_k one of Paley's (quadratic residues modulo a prime). Signs are
// the low bits of mt19937(1234). For powers of two R is msModelSlim's (facts: algorithms.md 4.1).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "parallel/thread_pool.h"

namespace slim {

class HadamardRotation {
 public:
  // Of `size` channels as blocks of `block` (0: one block) that share one matrix. Errors: a block
  // that does not divide the size, an order for which there is no construction here (QU-hadamard).
  static Result<HadamardRotation> Create(uint64_t size, uint64_t block = 0);

  uint64_t size() const { return size_; }
  // row ← row · R, in float32; [size].
  void ApplyToRow(float* row) const;
  // matrix [size, columns] ← Rᵀ · matrix.
  void ApplyToColumns(float* matrix, uint64_t columns, ThreadPool& pool) const;
  // R itself, [size, size].
  std::vector<float> Matrix() const;

 private:
  void TransformBlock(float* values, std::span<float> scratch) const;

  uint64_t size_ = 0;
  uint64_t block_ = 0;
  uint64_t order_ = 1;            // k: block_ = k · 2^m
  std::vector<int8_t> hadamard_;  // [k, k] of ±1
  std::vector<float> signs_;      // [block]
  float scale_ = 1;               // 1 / √block
};

}  // namespace slim
