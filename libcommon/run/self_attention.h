// Self-attention of one block from normed hidden states to what is added to them: grouped-query
// attention (Llama, Mistral, Qwen), or attention over a latent (DeepSeek MLA). Keys and values are
// cached as the heads use them: those of MLA expanded from the latent by kv_b_proj, rotated part
// included, which costs memory ((nope + rope + value) floats a head and position instead of kv_lora
// + rope in all) and saves expanding every earlier position again for each new token, whatever type
// kv_b_proj is quantized to.
//
// Source of the arithmetic: transformers' modeling_llama, _mistral, _qwen2, _qwen3, _deepseek_v2,
// _deepseek_v3, eager attention, float32.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "model/model_config.h"
#include "parallel/thread_pool.h"
#include "run/block_options.h"
#include "run/kv_rounding.h"
#include "run/norm.h"
#include "run/sequence_slice.h"

namespace slim {

class SelfAttention {
 public:
  static Result<SelfAttention> Load(const Checkpoint& checkpoint, const ModelConfig& config,
                                    uint64_t layer, Backend backend);
  uint64_t bytes() const;
  bool has_quantized_cache() const { return k_rounding_ || v_rounding_; }
  void AddParts(BlockParts& parts);

  // x [t, hidden], the rows of all slices → scratch.projected [t, hidden]; the caches take the new
  // keys and values.
  void Forward(const float* x, std::span<const SequenceSlice> slices, const BlockOptions& options,
               BlockScratch& scratch, ThreadPool& pool) const;

 private:
  // Fill scratch.queries, keys and values, rotated to scratch.positions.
  void GroupedHeads(const float* x, uint64_t t, const BlockOptions& options, BlockScratch& scratch,
                    ThreadPool& pool) const;
  void LatentHeads(const float* x, uint64_t t, const BlockOptions& options, BlockScratch& scratch,
                   ThreadPool& pool) const;
  // scratch.keys and values [t, …] as the cache is going to hold them.
  void RoundCache(uint64_t t, const BlockOptions& options, BlockScratch& scratch,
                  ThreadPool& pool) const;
  void NormAndRotate(float* heads, std::span<const RowPosition> positions, uint64_t count,
                     const std::optional<Norm>& norm, ThreadPool& pool) const;

  ModelConfig config_;
  std::optional<uint64_t> window_;
  float scale_ = 1;                           // of the scores
  std::optional<LinearLayer> q_, q_a_, q_b_;  // q, or q_a and q_b
  std::optional<LinearLayer> k_, v_;          // grouped-query
  std::optional<LinearLayer> kv_a_, kv_b_;    // latent
  LinearLayer o_;
  std::optional<KvRounding> k_rounding_, v_rounding_;  // C8
  std::optional<Norm> q_norm_, k_norm_;                // over a head
  std::optional<Norm> q_a_norm_, kv_a_norm_;           // over a latent
};

}  // namespace slim
