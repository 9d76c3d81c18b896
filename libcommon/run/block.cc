#include "run/block.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/convert.h"
#include "kernels/matmul.h"
#include "kernels/transformer.h"
#include "model/modules.h"
#include "run/attention.h"

namespace slim {
namespace {

// Order of DecoderBlock::linears().
enum LinearIndex : size_t { kQ, kK, kV, kO, kGate, kUp, kDown };

Result<std::vector<float>> LoadVector(const Checkpoint& checkpoint, const std::string& name,
                                      uint64_t size) {
  SLIM_ASSIGN(const Tensor tensor, checkpoint.Read(name));
  if (tensor.shape != Shape{size}) {
    return InputError("LIN-shape", fmt::format("has shape {}, config.json wants {}",
                                               ShapeText(tensor.shape), ShapeText({size})))
        .WithTensor(name)
        .WithPath(checkpoint.path());
  }
  if (tensor.dtype != DType::kF32 && tensor.dtype != DType::kF16 && tensor.dtype != DType::kBF16) {
    return InputError("LIN-dtype", fmt::format("has dtype {}, wanted F32 or F16 or BF16",
                                               DTypeName(tensor.dtype)))
        .WithTensor(name)
        .WithPath(checkpoint.path());
  }
  std::vector<float> values(size);
  ToFloat(tensor.dtype, tensor.data.data(), values.data(), size);
  return values;
}

}  // namespace

Result<Norm> Norm::Load(const Checkpoint& checkpoint, std::string_view name, uint64_t size) {
  Norm norm;
  norm.name = name;
  SLIM_ASSIGN(norm.weight, LoadVector(checkpoint, norm.name + ".weight", size));
  const std::string bias = norm.name + ".bias";
  if (checkpoint.Find(bias) != nullptr) {
    SLIM_ASSIGN(norm.bias, LoadVector(checkpoint, bias, size));
  }
  return norm;
}

void Norm::Apply(const float* x, uint64_t rows, float eps, float* y, ThreadPool& pool) const {
  const uint64_t size = weight.size();
  const uint64_t grain = std::max<uint64_t>(1, 8192 / size);
  pool.ParallelFor(rows, grain, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      RmsNorm(x + i * size, weight.data(), size, eps, y + i * size);
      if (!bias.empty()) AddInPlace(y + i * size, bias.data(), size);
    }
  });
}

Result<DecoderBlock> DecoderBlock::Load(const Checkpoint& checkpoint, const ModelConfig& config,
                                        uint64_t layer, Backend backend) {
  if (config.mla || config.moe) {
    return InputError("RUN-unsupported-architecture",
                      fmt::format("a {} model cannot be run", config.model_type))
        .WithPath(checkpoint.path());
  }
  DecoderBlock block;
  block.config_ = config;
  block.layer_ = layer;
  for (const Module& module : BlockModules(config, layer)) {
    if (module.IsLinear()) {
      SLIM_ASSIGN(LinearLayer linear,
                  LinearLayer::Load(checkpoint, module.name, module.weight_shape[0],
                                    module.weight_shape[1], backend));
      block.linears_.push_back(std::move(linear));
      continue;
    }
    SLIM_ASSIGN(Norm norm, Norm::Load(checkpoint, module.name, module.weight_shape[0]));
    if (module.name.ends_with(".q_norm")) {
      block.query_norm_ = std::move(norm);
    } else if (module.name.ends_with(".k_norm")) {
      block.key_norm_ = std::move(norm);
    } else if (module.name.ends_with(".input_layernorm")) {
      block.input_norm_ = std::move(norm);
    } else {
      block.post_attention_norm_ = std::move(norm);
    }
  }
  return block;
}

uint64_t DecoderBlock::bytes() const {
  uint64_t total = 0;
  for (const LinearLayer& linear : linears_) total += linear.bytes();
  const auto add = [&](const Norm& norm) {
    total += (norm.weight.size() + norm.bias.size()) * sizeof(float);
  };
  add(input_norm_);
  add(post_attention_norm_);
  if (query_norm_) add(*query_norm_);
  if (key_norm_) add(*key_norm_);
  return total;
}

void DecoderBlock::Project(size_t index, const float* x, uint64_t t, std::vector<float>& y,
                           const BlockOptions& options, ThreadPool& pool) const {
  const LinearLayer& linear = linears_[index];
  if (options.tap) options.tap(linear.name(), x, t, linear.k());
  y.resize(t * linear.n());
  linear.Forward(x, t, y.data(), options.backend, pool);
}

void DecoderBlock::NormAndRotateHeads(float* heads, uint64_t t, uint64_t count, uint64_t first,
                                      const Norm* norm, const RopeTable& rope,
                                      ThreadPool& pool) const {
  if (norm != nullptr) norm->Apply(heads, t * count, config_.rms_norm_eps, heads, pool);
  const uint64_t stride = count * config_.head_dim;
  pool.ParallelFor(t, std::max<uint64_t>(1, 4096 / stride), [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      for (uint64_t head = 0; head < count; ++head)
        rope.Rotate(heads + i * stride + head * config_.head_dim, first + i);
    }
  });
}

void DecoderBlock::Attention(float* hidden, uint64_t t, uint64_t first, const RopeTable& rope,
                             KvCacheLayer& cache, const BlockOptions& options,
                             BlockScratch& scratch, ThreadPool& pool) const {
  const float eps = options.norm_eps.value_or(config_.rms_norm_eps);
  scratch.normed.resize(t * config_.hidden_size);
  input_norm_.Apply(hidden, t, eps, scratch.normed.data(), pool);
  Project(kQ, scratch.normed.data(), t, scratch.queries, options, pool);
  Project(kK, scratch.normed.data(), t, scratch.keys, options, pool);
  Project(kV, scratch.normed.data(), t, scratch.values, options, pool);
  NormAndRotateHeads(scratch.queries.data(), t, config_.num_heads, first,
                     query_norm_ ? &*query_norm_ : nullptr, rope, pool);
  NormAndRotateHeads(scratch.keys.data(), t, config_.num_kv_heads, first,
                     key_norm_ ? &*key_norm_ : nullptr, rope, pool);
  cache.Append(scratch.keys.data(), scratch.values.data(), t);
  scratch.attended.resize(t * config_.num_heads * config_.head_dim);
  const bool windowed = config_.sliding_window && layer_ >= config_.first_window_layer;
  Attend({config_.num_heads, config_.num_kv_heads, config_.head_dim,
          windowed ? config_.sliding_window : std::nullopt},
         scratch.queries.data(), t, first, cache, scratch.attended.data(), pool);
  Project(kO, scratch.attended.data(), t, scratch.projected, options, pool);
  AddInPlace(hidden, scratch.projected.data(), t * config_.hidden_size);
}

void DecoderBlock::Mlp(float* hidden, uint64_t t, const BlockOptions& options,
                       BlockScratch& scratch, ThreadPool& pool) const {
  const float eps = options.norm_eps.value_or(config_.rms_norm_eps);
  post_attention_norm_.Apply(hidden, t, eps, scratch.normed.data(), pool);
  Project(kGate, scratch.normed.data(), t, scratch.gate, options, pool);
  Project(kUp, scratch.normed.data(), t, scratch.up, options, pool);
  const uint64_t width = config_.intermediate_size;
  float* gate = scratch.gate.data();
  const float* up = scratch.up.data();
  pool.ParallelFor(t, std::max<uint64_t>(1, 8192 / width), [&](uint64_t begin, uint64_t end) {
    SiluMul(gate + begin * width, up + begin * width, (end - begin) * width, gate + begin * width);
  });
  Project(kDown, gate, t, scratch.projected, options, pool);
  AddInPlace(hidden, scratch.projected.data(), t * config_.hidden_size);
}

void DecoderBlock::Forward(float* hidden, uint64_t t, uint64_t first, const RopeTable& rope,
                           KvCacheLayer& cache, const BlockOptions& options,
                           ThreadPool& pool) const {
  BlockScratch own;
  BlockScratch& scratch = options.scratch != nullptr ? *options.scratch : own;
  Attention(hidden, t, first, rope, cache, options, scratch, pool);
  Mlp(hidden, t, options, scratch, pool);
}

}  // namespace slim
