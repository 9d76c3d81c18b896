// The two ends of a decoder: token ids to hidden states, and hidden states to logits. Usable on
// their own by passes that walk a checkpoint block by block.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "model/model_config.h"
#include "parallel/thread_pool.h"
#include "run/block.h"

namespace slim {

// Rows of the embedding for `ids`, read from the file one by one: hidden is [ids, hidden_size].
// Errors: RUN-token-range for an id outside the embedding, CK-missing-tensor, LIN-shape.
Status EmbedTokens(const Checkpoint& checkpoint, const ModelConfig& config,
                   std::span<const int32_t> ids, float* hidden);

// RUN-token-range unless every id is a row of the embedding.
Status CheckTokenIds(const ModelConfig& config, std::span<const int32_t> ids);

// The final norm and lm_head (the embedding, where they are tied).
class OutputHead {
 public:
  static Result<OutputHead> Load(const Checkpoint& checkpoint, const ModelConfig& config,
                                 Backend backend);

  uint64_t bytes() const;
  // True when lm_head is the embedding: its rows are the embedding's, too.
  bool tied() const { return tied_; }
  const LinearLayer& linear() const { return linear_; }
  const Norm& norm() const { return norm_; }

  // hidden [t, hidden_size], not changed → logits [t, vocab_size]. The options' tap sees the input
  // of lm_head.
  void Logits(const float* hidden, uint64_t t, float* logits, const BlockOptions& options,
              ThreadPool& pool) const;

 private:
  Norm norm_;
  LinearLayer linear_;
  bool tied_ = false;
  float eps_ = 0;
};

}  // namespace slim
