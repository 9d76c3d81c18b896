// One decoder block (Llama, Mistral, Qwen2, Qwen3): RMSNorm, grouped-query attention with rotary
// positions, gated MLP, residuals; all activations float32. Owns the weights of one block, so that
// a model can be walked block by block in the memory of one. Embedding and head: run/embedding.h.
// Reads every tensor through Checkpoint by module name (model/modules.h).
//
// Source of the arithmetic: transformers' modeling_llama / _mistral / _qwen2 / _qwen3, eager
// attention, float32.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "model/model_config.h"
#include "parallel/thread_pool.h"
#include "run/kv_cache.h"
#include "run/linear_layer.h"
#include "run/rope.h"

namespace slim {

// Sees the input of every linear before it is computed: x is [t, k] float32. `name` is the module
// name. Linears that share an input (q, k, v; gate, up) are called one after the other with the
// same x.
using LinearTap =
    std::function<void(std::string_view name, const float* x, uint64_t t, uint64_t k)>;

// Arrays that Forward needs; handed in again, they save allocations.
struct BlockScratch {
  std::vector<float> normed, queries, keys, values, attended, projected, gate, up;
};

struct BlockOptions {
  Backend backend = Backend::kReference;
  LinearTap tap;
  // Overrides rms_norm_eps of input_layernorm and post_attention_layernorm.
  std::optional<float> norm_eps;
  BlockScratch* scratch = nullptr;  // may be null
};

// RMSNorm with weight and, in anti-outlier checkpoints, a bias added to its output.
struct Norm {
  std::string name;
  std::vector<float> weight;
  std::vector<float> bias;  // empty: none

  // `<name>.weight` [size] and, where the checkpoint has it, `<name>.bias` [size].
  static Result<Norm> Load(const Checkpoint& checkpoint, std::string_view name, uint64_t size);
  // x and y are [rows, size] and may be the same array.
  void Apply(const float* x, uint64_t rows, float eps, float* y, ThreadPool& pool) const;
};

class DecoderBlock {
 public:
  // `backend` decides what is prepared (LinearLayer::Load); Forward's options decide what computes.
  // Errors: those of LinearLayer::Load, CK-missing-tensor, LIN-shape, LIN-dtype; each names the
  // tensor.
  static Result<DecoderBlock> Load(const Checkpoint& checkpoint, const ModelConfig& config,
                                   uint64_t layer, Backend backend);

  uint64_t layer() const { return layer_; }
  uint64_t bytes() const;
  // The linears in model order: q, k, v, o, gate, up, down.
  const std::vector<LinearLayer>& linears() const { return linears_; }

  // `hidden` is [t, hidden_size], in place; the tokens sit at positions first .. first + t - 1; the
  // cache holds the keys and values of positions 0 .. first - 1 and takes the new ones. `rope` has
  // rows for every position.
  void Forward(float* hidden, uint64_t t, uint64_t first, const RopeTable& rope,
               KvCacheLayer& cache, const BlockOptions& options, ThreadPool& pool) const;

 private:
  void Attention(float* hidden, uint64_t t, uint64_t first, const RopeTable& rope,
                 KvCacheLayer& cache, const BlockOptions& options, BlockScratch& scratch,
                 ThreadPool& pool) const;
  void Mlp(float* hidden, uint64_t t, const BlockOptions& options, BlockScratch& scratch,
           ThreadPool& pool) const;
  void NormAndRotateHeads(float* heads, uint64_t t, uint64_t count, uint64_t first,
                          const Norm* norm, const RopeTable& rope, ThreadPool& pool) const;
  void Project(size_t linear, const float* x, uint64_t t, std::vector<float>& y,
               const BlockOptions& options, ThreadPool& pool) const;

  ModelConfig config_;
  uint64_t layer_ = 0;
  std::vector<LinearLayer> linears_;
  Norm input_norm_;
  Norm post_attention_norm_;
  std::optional<Norm> query_norm_;
  std::optional<Norm> key_norm_;
};

}  // namespace slim
