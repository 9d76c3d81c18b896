#include "run/self_attention.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "kernels/math.h"
#include "model/modules.h"
#include "run/attention.h"

namespace slim {
namespace {

// q_a_layernorm and kv_a_layernorm keep the default of DeepseekV3RMSNorm, whatever rms_norm_eps
// says.
constexpr float kLatentNormEps = 1e-6F;

// 1 / √head_dim; with yarn DeepSeek raises it by the square of mscale_all_dim's scale
// (yarn_apply_mscale).
float ScoreScale(const ModelConfig& config) {
  double scale = 1.0 / std::sqrt(static_cast<double>(config.head_dim));
  const RopeConfig& rope = config.rope;
  if (config.mla && rope.kind != RopeKind::kDefault && rope.mscale_all_dim && rope.factor > 1) {
    const double mscale = 0.1 * *rope.mscale_all_dim * LogD(rope.factor) + 1.0;
    scale *= mscale * mscale;
  }
  return static_cast<float>(scale);
}

}  // namespace

Result<SelfAttention> SelfAttention::Load(const Checkpoint& checkpoint, const ModelConfig& config,
                                          uint64_t layer, Backend backend) {
  SelfAttention attention;
  attention.config_ = config;
  attention.scale_ = ScoreScale(config);
  if (config.sliding_window && layer >= config.first_window_layer)
    attention.window_ = config.sliding_window;
  const std::string prefix = BlockPrefix(config, layer) + ".self_attn.";
  std::map<std::string_view, std::optional<LinearLayer>*> linears = {
      {"q_proj", &attention.q_},      {"k_proj", &attention.k_},
      {"v_proj", &attention.v_},      {"q_a_proj", &attention.q_a_},
      {"q_b_proj", &attention.q_b_},  {"kv_a_proj_with_mqa", &attention.kv_a_},
      {"kv_b_proj", &attention.kv_b_}};
  std::map<std::string_view, std::optional<Norm>*> norms = {
      {"q_norm", &attention.q_norm_},
      {"k_norm", &attention.k_norm_},
      {"q_a_layernorm", &attention.q_a_norm_},
      {"kv_a_layernorm", &attention.kv_a_norm_}};
  for (const Module& module : BlockModules(config, layer)) {
    if (!module.name.starts_with(prefix)) continue;
    const std::string_view name = std::string_view(module.name).substr(prefix.size());
    if (module.kind == ModuleKind::kNorm) {
      SLIM_ASSIGN(Norm norm, Norm::Load(checkpoint, module.name, module.weight_shape[0]));
      norms.at(name)->emplace(std::move(norm));
      continue;
    }
    SLIM_ASSIGN(LinearLayer linear,
                LinearLayer::Load(checkpoint, module.name, module.weight_shape[0],
                                  module.weight_shape[1], backend));
    if (name == "o_proj") {
      attention.o_ = std::move(linear);
    } else {
      linears.at(name)->emplace(std::move(linear));
    }
  }
  // Keys and values of a latent are expanded anew from it: their channels have no scales.
  if (config.mla) return attention;
  SLIM_ASSIGN(attention.k_rounding_, KvRounding::Load(checkpoint, prefix + "k_proj",
                                                      config.num_kv_heads * config.head_dim));
  SLIM_ASSIGN(attention.v_rounding_, KvRounding::Load(checkpoint, prefix + "v_proj",
                                                      config.num_kv_heads * config.head_dim));
  return attention;
}

uint64_t SelfAttention::bytes() const {
  uint64_t total = o_.bytes();
  for (const auto* linear : {&q_, &q_a_, &q_b_, &k_, &v_, &kv_a_, &kv_b_})
    total += *linear ? (*linear)->bytes() : 0;
  for (const auto* norm : {&q_norm_, &k_norm_, &q_a_norm_, &kv_a_norm_})
    total += *norm ? (*norm)->bytes() : 0;
  return total;
}

void SelfAttention::NormAndRotate(float* heads, std::span<const RowPosition> positions,
                                  uint64_t count, const std::optional<Norm>& norm,
                                  ThreadPool& pool) const {
  const uint64_t t = positions.size();
  if (norm) norm->Apply(heads, t * count, config_.rms_norm_eps, heads, pool);
  const uint64_t stride = count * config_.head_dim;
  pool.ParallelFor(t, std::max<uint64_t>(1, 4096 / stride), [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      for (uint64_t head = 0; head < count; ++head)
        positions[i].rope->Rotate(heads + i * stride + head * config_.head_dim,
                                  positions[i].position);
    }
  });
}

void SelfAttention::GroupedHeads(const float* x, uint64_t t, const BlockOptions& options,
                                 BlockScratch& scratch, ThreadPool& pool) const {
  const auto shares = [&](const LinearLayer& other) {
    return q_->SharesInput(other, options.phase);
  };
  if (!options.watched() && shares(*k_) && shares(*v_)) {
    scratch.queries.resize(t * q_->n());
    scratch.keys.resize(t * k_->n());
    scratch.values.resize(t * v_->n());
    const LinearLayer* const layers[] = {&*q_, &*k_, &*v_};
    float* const outputs[] = {scratch.queries.data(), scratch.keys.data(), scratch.values.data()};
    LinearLayer::ForwardTogether(layers, x, t, outputs, pool, options.phase);
  } else {
    Project(*q_, x, t, scratch.queries, options, pool);
    Project(*k_, x, t, scratch.keys, options, pool);
    Project(*v_, x, t, scratch.values, options, pool);
  }
  NormAndRotate(scratch.queries.data(), scratch.positions, config_.num_heads, q_norm_, pool);
  NormAndRotate(scratch.keys.data(), scratch.positions, config_.num_kv_heads, k_norm_, pool);
}

void SelfAttention::LatentHeads(const float* x, uint64_t t, const BlockOptions& options,
                                BlockScratch& scratch, ThreadPool& pool) const {
  const MlaConfig& mla = *config_.mla;
  const uint64_t heads = config_.num_heads;
  const uint64_t dim = config_.head_dim;
  if (q_) {
    Project(*q_, x, t, scratch.queries, options, pool);
  } else {
    Project(*q_a_, x, t, scratch.compressed, options, pool);
    q_a_norm_->Apply(scratch.compressed.data(), t, kLatentNormEps, scratch.compressed.data(), pool);
    Project(*q_b_, scratch.compressed.data(), t, scratch.queries, options, pool);
  }
  Project(*kv_a_, x, t, scratch.latent, options, pool);
  const uint64_t latent = mla.kv_lora_rank + mla.rope_dim;
  scratch.compressed.resize(t * mla.kv_lora_rank);
  for (uint64_t i = 0; i < t; ++i)
    std::copy_n(scratch.latent.data() + i * latent, mla.kv_lora_rank,
                scratch.compressed.data() + i * mla.kv_lora_rank);
  kv_a_norm_->Apply(scratch.compressed.data(), t, kLatentNormEps, scratch.compressed.data(), pool);
  Project(*kv_b_, scratch.compressed.data(), t, scratch.expanded, options, pool);
  scratch.keys.resize(t * heads * dim);
  scratch.values.resize(t * heads * mla.value_dim);
  const auto rotate = [&](float* part, const RowPosition& at) {
    mla.interleaved ? at.rope->RotatePairs(part, at.position) : at.rope->Rotate(part, at.position);
  };
  pool.ParallelFor(t, 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      float* shared = scratch.latent.data() + i * latent + mla.kv_lora_rank;
      rotate(shared, scratch.positions[i]);
      for (uint64_t head = i * heads; head < (i + 1) * heads; ++head) {
        rotate(scratch.queries.data() + head * dim + mla.nope_dim, scratch.positions[i]);
        const float* expanded = scratch.expanded.data() + head * (mla.nope_dim + mla.value_dim);
        float* key = scratch.keys.data() + head * dim;
        std::copy_n(shared, mla.rope_dim, std::copy_n(expanded, mla.nope_dim, key));
        std::copy_n(expanded + mla.nope_dim, mla.value_dim,
                    scratch.values.data() + head * mla.value_dim);
      }
    }
  });
}

void SelfAttention::RoundCache(uint64_t t, const BlockOptions& options, BlockScratch& scratch,
                               ThreadPool& pool) const {
  if (options.kv_cache == KvCacheType::kBf16) {
    RoundToBf16(scratch.keys.data(), scratch.keys.size(), pool);
    RoundToBf16(scratch.values.data(), scratch.values.size(), pool);
  } else if (options.kv_cache == KvCacheType::kCheckpoint) {
    if (k_rounding_) k_rounding_->Apply(scratch.keys.data(), t, pool);
    if (v_rounding_) v_rounding_->Apply(scratch.values.data(), t, pool);
  }
}

void SelfAttention::AddParts(BlockParts& parts) {
  for (auto* linear : {&q_, &q_a_, &q_b_, &k_, &v_, &kv_a_, &kv_b_}) {
    if (*linear) parts.linears.push_back(&**linear);
  }
  parts.linears.push_back(&o_);
  for (auto* norm : {&q_norm_, &k_norm_, &q_a_norm_, &kv_a_norm_}) {
    if (*norm) parts.norms.push_back(&**norm);
  }
}

void SelfAttention::Forward(const float* x, std::span<const SequenceSlice> slices,
                            const BlockOptions& options, BlockScratch& scratch,
                            ThreadPool& pool) const {
  scratch.positions.clear();
  for (const SequenceSlice& slice : slices) {
    for (uint64_t i = 0; i < slice.tokens; ++i)
      scratch.positions.push_back({slice.rope, slice.first + i});
  }
  const uint64_t t = scratch.positions.size();
  if (config_.mla) {
    LatentHeads(x, t, options, scratch, pool);
  } else {
    GroupedHeads(x, t, options, scratch, pool);
  }
  if (options.cache_tap) options.cache_tap(scratch.keys.data(), scratch.values.data(), t);
  RoundCache(t, options, scratch, pool);
  const uint64_t query_width = config_.num_heads * config_.head_dim;
  const uint64_t key_width = config_.num_kv_heads * config_.head_dim;
  const uint64_t value_width = config_.num_kv_heads * config_.ValueDim();
  const uint64_t out_width = config_.num_heads * config_.ValueDim();
  const AttentionShape shape{config_.num_heads, config_.num_kv_heads, config_.head_dim,
                             window_,           config_.ValueDim(),   scale_};
  scratch.attended.resize(t * out_width);
  const auto attend = options.backend == Backend::kFast ? AttendFast : Attend;
  uint64_t row = 0;
  for (const SequenceSlice& slice : slices) {
    slice.cache->Append(scratch.keys.data() + row * key_width,
                        scratch.values.data() + row * value_width, slice.tokens);
    attend(shape, scratch.queries.data() + row * query_width, slice.tokens, slice.first,
           *slice.cache, scratch.attended.data() + row * out_width, pool);
    row += slice.tokens;
  }
  Project(o_, scratch.attended.data(), t, scratch.projected, options, pool);
}

}  // namespace slim
