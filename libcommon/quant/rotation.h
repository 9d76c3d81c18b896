// quarot: hidden states, and the values of every head, rotated by Hadamard matrices that the
// weights take up, so that no channel stands out (facts: algorithms.md 4.2); with latent attention
// the latents, too, where their widths have a Hadamard matrix. Norm weights go into the linears
// behind them first, the router among these. Nothing is left to do when the model runs.
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
  // Errors: tied embeddings or the text tower of a larger model (QU-rotation), a width without a
  // Hadamard matrix, an online rotation.
  static Result<ModelRotation> Create(const RotationStep& step, const ModelConfig& config);

  const HadamardRotation& hidden() const { return hidden_; }
  // Norms fused, then what reads a norm of hidden states (q, k, v, gate, up, router) from the
  // right, o and down from the left, v and o by heads; kv_b by heads where it gives values.
  void RotateBlock(const ModelConfig& config, WorkingBlock& block, ThreadPool& pool) const;
  // The embedding, or with the final norm's weight lm_head: [rows, hidden_size] in float32 in
  // place; `norm` may be empty.
  void RotateRows(std::span<float> rows, std::span<const float> norm, DType compute,
                  ThreadPool& pool) const;

 private:
  ModelRotation(HadamardRotation hidden, HadamardRotation head)
      : hidden_(std::move(hidden)), head_(std::move(head)) {}

  HadamardRotation hidden_;
  HadamardRotation head_;  // of a head's values
  std::optional<HadamardRotation> query_latent_;
  std::optional<HadamardRotation> value_latent_;
};

}  // namespace slim
