// The second moments of the inputs of a linear, which gptq and awq weigh columns by and
// float_sparse prunes by: summed over calibration tokens in the order they come, in a fixed order
// of sums.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "parallel/thread_pool.h"

namespace slim {

class SecondMoments {
 public:
  static constexpr uint64_t kTokensAtATime = 512;

  // `owner`: the linear whose inputs are added, for all that share them. `between_channels`: the
  // matrix too.
  SecondMoments(std::string owner, bool between_channels)
      : owner_(std::move(owner)), between_channels_(between_channels) {}

  const std::string& owner() const { return owner_; }
  // x is [t, k]; k is the same in every call.
  void Add(const float* x, uint64_t t, uint64_t k, ThreadPool& pool);
  // After the last Add.
  void Finish(ThreadPool& pool);

  // [k] of Σ x²; empty when no token came.
  std::span<const float> importance() const { return importance_; }
  // [k, k] of 2 / tokens · Σ x xᵀ, lower triangle (facts: algorithms.md 2.3); empty when no token
  // came or nobody asked.
  std::span<const float> matrix() const { return matrix_; }
  // Its memory, for who needs the matrix last: matrix() is empty afterwards.
  std::vector<float> TakeMatrix() { return std::move(matrix_); }

 private:
  void AddPending(ThreadPool& pool);

  std::string owner_;
  bool between_channels_;
  uint64_t k_ = 0;
  uint64_t tokens_ = 0;  // in matrix_
  std::vector<float> importance_;
  std::vector<float> matrix_;
  std::vector<float> pending_;  // [tokens, k] not yet in matrix_
};

}  // namespace slim
