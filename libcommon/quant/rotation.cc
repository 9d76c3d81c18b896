#include "quant/rotation.h"

#include <fmt/format.h>

#include "kernels/convert.h"
#include "model/modules.h"

namespace slim {
namespace {

struct FloatMatrix {
  std::vector<float> values;  // [n, k]
  uint64_t n = 0;
  uint64_t k = 0;
  DType dtype = DType::kF32;  // that steps are rounded to
};

FloatMatrix Take(WorkingBlock& block, const std::string& linear) {
  const Tensor& weight = block.Linear(linear)[Role::kWeight];
  FloatMatrix matrix;
  matrix.n = weight.shape[0];
  matrix.k = weight.shape[1];
  matrix.dtype = block.Working(weight.dtype);
  matrix.values.resize(matrix.n * matrix.k);
  ToFloat(weight.dtype, weight.data.data(), matrix.values.data(), matrix.values.size());
  return matrix;
}

void Put(WorkingBlock& block, const std::string& linear, const FloatMatrix& matrix) {
  Tensor weight(matrix.dtype, {matrix.n, matrix.k});
  FromFloat(matrix.dtype, matrix.values.data(), weight.data.data(), matrix.values.size());
  block.SetWeight(linear, std::move(weight));
}

void RotateInputs(const HadamardRotation& rotation, FloatMatrix& matrix, ThreadPool& pool) {
  pool.ParallelFor(matrix.n, 8, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      for (uint64_t j = 0; j < matrix.k; j += rotation.size())
        rotation.ApplyToRow(matrix.values.data() + i * matrix.k + j);
    }
  });
  RoundToDType(matrix.dtype, matrix.values.data(), matrix.values.size());
}

void RotateOutputs(const HadamardRotation& rotation, FloatMatrix& matrix, ThreadPool& pool) {
  for (uint64_t i = 0; i < matrix.n; i += rotation.size())
    rotation.ApplyToColumns(matrix.values.data() + i * matrix.k, matrix.k, pool);
  RoundToDType(matrix.dtype, matrix.values.data(), matrix.values.size());
}

void RotateBias(const HadamardRotation& rotation, WorkingBlock& block, const std::string& linear) {
  const LinearRecord& record = block.Linear(linear);
  if (!record.Has(Role::kBias)) return;
  std::vector<float> bias = PartAsFloats(record, Role::kBias);
  for (size_t i = 0; i < bias.size(); i += rotation.size()) rotation.ApplyToRow(bias.data() + i);
  Tensor rotated(block.Working(record[Role::kBias].dtype), {bias.size()});
  FromFloat(rotated.dtype, bias.data(), rotated.data.data(), bias.size());
  block.SetBias(linear, std::move(rotated));
}

}  // namespace

Result<ModelRotation> ModelRotation::Create(const RotationStep& step, const ModelConfig& config) {
  if (step.online || !step.down_proj_online_layers.empty()) {
    return UsageError("quarot: online rotation needs a runtime that rotates activations",
                      "online: False rotates the weights alone");
  }
  if (config.moe || config.mla) {
    return InputError("QU-rotation",
                      fmt::format("quarot rotates dense models with grouped-query attention, "
                                  "this is {}",
                                  config.model_type),
                      "leave the quarot step out, smoothing serves these models");
  }
  if (config.tie_word_embeddings) {
    return InputError("QU-rotation",
                      "quarot needs an lm_head of its own, this model's is tied to the embedding",
                      "leave the quarot step out");
  }
  SLIM_ASSIGN(HadamardRotation hidden,
              HadamardRotation::Create(config.hidden_size, step.block_size.value_or(0)));
  SLIM_ASSIGN(HadamardRotation head, HadamardRotation::Create(config.head_dim));
  return ModelRotation(std::move(hidden), std::move(head));
}

void ModelRotation::RotateBlock(const ModelConfig& config, WorkingBlock& block,
                                ThreadPool& pool) const {
  const uint64_t layer = block.block().layer();
  for (const SharedInput& input : SharedInputs(config, layer)) {
    if (!input.norm.empty()) {
      const std::vector<float> gamma = block.NormOf(input.norm).weight;
      for (const std::string& linear : input.linears) block.ScaleColumns(linear, gamma);
      block.SetNorm(input.norm, std::vector<float>(gamma.size(), 1.0F), {});
    }
    for (const std::string& linear : input.linears) {
      FloatMatrix weight = Take(block, linear);
      if (!input.norm.empty()) {
        RotateInputs(hidden_, weight, pool);
      } else {
        RotateOutputs(hidden_, weight, pool);
      }
      if (linear.ends_with(".v_proj")) RotateOutputs(head_, weight, pool);
      if (linear.ends_with(".o_proj")) RotateInputs(head_, weight, pool);
      Put(block, linear, weight);
      if (input.norm.empty()) RotateBias(hidden_, block, linear);
      if (linear.ends_with(".v_proj")) RotateBias(head_, block, linear);
    }
  }
}

void ModelRotation::RotateRows(std::span<float> rows, std::span<const float> norm, DType compute,
                               ThreadPool& pool) const {
  const uint64_t k = hidden_.size();
  pool.ParallelFor(rows.size() / k, 8, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      float* row = rows.data() + i * k;
      if (!norm.empty()) {
        for (uint64_t j = 0; j < k; ++j) row[j] *= norm[j];
        RoundToDType(compute, row, k);
      }
      hidden_.ApplyToRow(row);
    }
  });
}

}  // namespace slim
