#include "run/block.h"

#include "kernels/transformer.h"
#include "model/modules.h"

namespace slim {
namespace {

// hidden += y, `count` values, by all threads: one alone is as slow as its share of memory.
void AddOutput(float* hidden, const float* y, uint64_t count, ThreadPool& pool) {
  constexpr uint64_t kGrain = uint64_t{1} << 14;
  pool.ParallelFor(count, kGrain, [&](uint64_t begin, uint64_t end) {
    AddInPlace(hidden + begin, y + begin, end - begin);
  });
}

}  // namespace

Result<DecoderBlock> DecoderBlock::Load(const Checkpoint& checkpoint, const ModelConfig& config,
                                        uint64_t layer, Backend backend, ExpertStorage storage) {
  DecoderBlock block;
  block.layer_ = layer;
  block.hidden_size_ = config.hidden_size;
  block.eps_ = config.rms_norm_eps;
  const std::string prefix = BlockPrefix(config, layer);
  SLIM_ASSIGN(block.attention_, SelfAttention::Load(checkpoint, config, layer, backend));
  if (config.IsMoeLayer(layer)) {
    SLIM_ASSIGN(ExpertMixture mixture,
                ExpertMixture::Load(checkpoint, config, layer, backend, storage));
    block.mixture_ = std::move(mixture);
  } else {
    SLIM_ASSIGN(GatedMlp mlp, GatedMlp::Load(checkpoint, prefix + ".mlp", config.hidden_size,
                                             config.intermediate_size, backend));
    block.mlp_ = std::move(mlp);
  }
  SLIM_ASSIGN(block.input_norm_,
              Norm::Load(checkpoint, prefix + ".input_layernorm", config.hidden_size));
  SLIM_ASSIGN(block.post_attention_norm_,
              Norm::Load(checkpoint, prefix + ".post_attention_layernorm", config.hidden_size));
  return block;
}

uint64_t DecoderBlock::bytes() const {
  return attention_.bytes() + (mlp_ ? mlp_->bytes() : mixture_->bytes()) + input_norm_.bytes() +
         post_attention_norm_.bytes();
}

BlockParts DecoderBlock::Parts() {
  BlockParts parts;
  attention_.AddParts(parts);
  if (mlp_) mlp_->AddParts(parts);
  if (mixture_) mixture_->AddParts(parts);
  parts.norms.insert(parts.norms.end(), {&input_norm_, &post_attention_norm_});
  return parts;
}

void DecoderBlock::ForwardAttention(float* hidden, std::span<const SequenceSlice> slices,
                                    const BlockOptions& options, ThreadPool& pool) const {
  const uint64_t t = TotalTokens(slices);
  BlockScratch own;
  BlockScratch& scratch = options.scratch != nullptr ? *options.scratch : own;
  scratch.normed.resize(t * hidden_size_);
  input_norm_.Apply(hidden, t, options.norm_eps.value_or(eps_), scratch.normed.data(), pool);
  attention_.Forward(scratch.normed.data(), slices, options, scratch, pool);
  AddOutput(hidden, scratch.projected.data(), t * hidden_size_, pool);
}

Status DecoderBlock::ForwardMlp(float* hidden, uint64_t t, const BlockOptions& options,
                                ThreadPool& pool) const {
  BlockScratch own;
  BlockScratch& scratch = options.scratch != nullptr ? *options.scratch : own;
  scratch.normed.resize(t * hidden_size_);
  post_attention_norm_.Apply(hidden, t, options.norm_eps.value_or(eps_), scratch.normed.data(),
                             pool);
  if (mlp_) {
    mlp_->Forward(scratch.normed.data(), t, scratch.projected, options, scratch, pool);
    AddOutput(hidden, scratch.projected.data(), t * hidden_size_, pool);
    return {};
  }
  SLIM_TRY(mixture_->Forward(scratch.normed.data(), t, options, scratch, pool));
  AddOutput(hidden, scratch.mixed.data(), t * hidden_size_, pool);
  return {};
}

Status DecoderBlock::Forward(float* hidden, uint64_t t, uint64_t first, const RopeTable& rope,
                             KvCacheLayer& cache, const BlockOptions& options,
                             ThreadPool& pool) const {
  const SequenceSlice slice{t, first, &rope, &cache};
  return Forward(hidden, {&slice, 1}, options, pool);
}

Status DecoderBlock::Forward(float* hidden, std::span<const SequenceSlice> slices,
                             const BlockOptions& options, ThreadPool& pool) const {
  ForwardAttention(hidden, slices, options, pool);
  return ForwardMlp(hidden, TotalTokens(slices), options, pool);
}

}  // namespace slim
