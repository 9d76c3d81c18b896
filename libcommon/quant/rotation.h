// quarot: hidden states, and the values of every head, rotated by Hadamard matrices that the
// weights take up, so that no channel stands out (facts: algorithms.md 4.2). Norm weights go into
// the linears behind them first. Nothing is left to do when the model runs.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "model/model_config.h"
#include "quant/hadamard.h"
#include "quant/recipe.h"
#include "quant/working_block.h"

namespace slim {

class ModelRotation {
 public:
  // Errors: experts or latent attention (QU-rotation), tied embeddings, a width without a Hadamard
  // matrix, an online rotation.
  static Result<ModelRotation> Create(const RotationStep& step, const ModelConfig& config);

  const HadamardRotation& hidden() const { return hidden_; }
  // Norms fused, then q, k, v, gate, up from the right, o and down from the left, v and o by heads.
  void RotateBlock(const ModelConfig& config, WorkingBlock& block, ThreadPool& pool) const;
  // The embedding, or with the final norm's weight lm_head: [rows, hidden_size] in float32 in
  // place; `norm` may be empty.
  void RotateRows(std::span<float> rows, std::span<const float> norm, DType compute,
                  ThreadPool& pool) const;

 private:
  ModelRotation(HadamardRotation hidden, HadamardRotation head)
      : hidden_(std::move(hidden)), head_(std::move(head)) {}

  HadamardRotation hidden_;
  HadamardRotation head_;  // of head_dim
};

}  // namespace slim
