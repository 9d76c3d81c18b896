// One decoder block (Llama, Mistral, Qwen, DeepSeek): RMSNorm, self-attention with rotary
// positions, gated MLP or experts, residuals; all activations float32. Owns the weights of one
// block, so that a model can be walked block by block in the memory of one. Embedding and head:
// run/embedding.h. Reads every tensor through Checkpoint by module name (model/modules.h).
//
// Source of the arithmetic: transformers' modeling files, eager attention, float32
// (run/self_attention.h, run/mixture.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "model/model_config.h"
#include "parallel/thread_pool.h"
#include "run/block_options.h"
#include "run/kv_cache.h"
#include "run/mixture.h"
#include "run/mlp.h"
#include "run/norm.h"
#include "run/rope.h"
#include "run/self_attention.h"
#include "run/sequence_slice.h"

namespace slim {

class DecoderBlock {
 public:
  // `backend` decides what is prepared (LinearLayer::Load); Forward's options decide what computes.
  // Errors: those of LinearLayer::Load, CK-missing-tensor, LIN-shape, LIN-dtype; each names the
  // tensor.
  static Result<DecoderBlock> Load(const Checkpoint& checkpoint, const ModelConfig& config,
                                   uint64_t layer, Backend backend,
                                   ExpertStorage storage = ExpertStorage::kResident);

  uint64_t layer() const { return layer_; }
  uint64_t bytes() const;
  BlockParts Parts();
  bool has_quantized_cache() const { return attention_.has_quantized_cache(); }
  bool has_experts() const { return mixture_.has_value(); }

  // `hidden` is [t, hidden_size], in place; the tokens sit at positions first .. first + t - 1; the
  // cache holds the keys and values of positions 0 .. first - 1 and takes the new ones. `rope` has
  // rows for every position. Errors: reading streamed experts.
  Status Forward(float* hidden, uint64_t t, uint64_t first, const RopeTable& rope,
                 KvCacheLayer& cache, const BlockOptions& options, ThreadPool& pool) const;
  // The same for several sequences at once: `hidden` has the rows of all slices.
  Status Forward(float* hidden, std::span<const SequenceSlice> slices, const BlockOptions& options,
                 ThreadPool& pool) const;
  // The two halves of Forward. The second knows no positions: tokens of several sequences may go
  // through it at once, which reads each streamed expert once for all of them.
  void ForwardAttention(float* hidden, std::span<const SequenceSlice> slices,
                        const BlockOptions& options, ThreadPool& pool) const;
  Status ForwardMlp(float* hidden, uint64_t t, const BlockOptions& options, ThreadPool& pool) const;

 private:
  uint64_t layer_ = 0;
  uint64_t hidden_size_ = 0;
  float eps_ = 0;
  Norm input_norm_;
  Norm post_attention_norm_;
  SelfAttention attention_;
  std::optional<GatedMlp> mlp_;  // this, or the experts
  std::optional<ExpertMixture> mixture_;
};

}  // namespace slim
