#include "quant/rotation.h"

#include <fmt/format.h>

#include <limits>

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

// Rows of a linear that a rotation of its outputs mixes: from `first` on, every `period`.
struct OutputRows {
  const HadamardRotation* rotation = nullptr;
  uint64_t first = 0;
  uint64_t period = 0;
};

template <typename Apply>
void ForEachSpan(const OutputRows& rows, uint64_t n, const Apply& apply) {
  for (uint64_t i = rows.first; i + rows.rotation->size() <= n; i += rows.period) apply(i);
}

void RotateOutputs(const OutputRows& rows, FloatMatrix& matrix, ThreadPool& pool) {
  ForEachSpan(rows, matrix.n, [&](uint64_t i) {
    rows.rotation->ApplyToColumns(matrix.values.data() + i * matrix.k, matrix.k, pool);
  });
  RoundToDType(matrix.dtype, matrix.values.data(), matrix.values.size());
}

void RotateBias(const OutputRows& rows, WorkingBlock& block, const std::string& linear) {
  const LinearRecord& record = block.Linear(linear);
  if (!record.Has(Role::kBias)) return;
  std::vector<float> bias = PartAsFloats(record, Role::kBias);
  ForEachSpan(rows, bias.size(), [&](uint64_t i) { rows.rotation->ApplyToRow(bias.data() + i); });
  Tensor rotated(block.Working(record[Role::kBias].dtype), {bias.size()});
  FromFloat(rotated.dtype, bias.data(), rotated.data.data(), bias.size());
  block.SetBias(linear, std::move(rotated));
}

// Which rotations the inputs and the outputs of a linear of a block take up.
struct Sides {
  const HadamardRotation* inputs = nullptr;
  OutputRows outputs;
};

}  // namespace

Result<ModelRotation> ModelRotation::Create(const RotationStep& step, const ModelConfig& config) {
  if (step.online || !step.down_proj_online_layers.empty()) {
    return UsageError("quarot: online rotation needs a runtime that rotates activations",
                      "online: False rotates the weights alone");
  }
  if (config.text_tower) {
    return InputError("QU-rotation",
                      fmt::format("the image embeddings of a {} model would join rotated ones",
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
  SLIM_ASSIGN(HadamardRotation head, HadamardRotation::Create(config.ValueDim()));
  ModelRotation rotation(std::move(hidden), std::move(head));
  if (!config.mla) return rotation;
  const auto latent = [](uint64_t rank) -> std::optional<HadamardRotation> {
    auto found = HadamardRotation::Create(rank);
    if (!found.ok()) return {};
    return std::move(*found);
  };
  if (config.mla->q_lora_rank) rotation.query_latent_ = latent(*config.mla->q_lora_rank);
  rotation.value_latent_ = latent(config.mla->kv_lora_rank);
  return rotation;
}

void ModelRotation::RotateBlock(const ModelConfig& config, WorkingBlock& block,
                                ThreadPool& pool) const {
  const auto pointer = [](const std::optional<HadamardRotation>& rotation) {
    return rotation ? &*rotation : nullptr;
  };
  const auto sides_of = [&](const std::string& norm, const std::string& linear) {
    const std::string_view leaf = std::string_view(linear).substr(linear.rfind('.') + 1);
    Sides sides;
    if (leaf == "o_proj") {
      sides = {&head_, {&hidden_, 0, hidden_.size()}};
    } else if (norm.empty()) {
      sides = {nullptr, {&hidden_, 0, hidden_.size()}};
    } else if (leaf == "q_b_proj") {
      sides.inputs = pointer(query_latent_);
    } else if (leaf == "kv_b_proj") {
      // A head's keys without position, then its values.
      sides = {pointer(value_latent_),
               {&head_, config.mla->nope_dim, config.mla->nope_dim + head_.size()}};
    } else {
      sides.inputs = &hidden_;
      if (leaf == "v_proj") sides.outputs = {&head_, 0, head_.size()};
      if (leaf == "q_a_proj") sides.outputs = {pointer(query_latent_), 0, *config.mla->q_lora_rank};
      // Behind the latent stands the rotary part of the keys, which stays.
      const uint64_t once = std::numeric_limits<uint32_t>::max();
      if (leaf == "kv_a_proj_with_mqa") sides.outputs = {pointer(value_latent_), 0, once};
    }
    return sides;
  };
  for (const SharedInput& input : SharedInputs(config, block.block().layer())) {
    if (!input.norm.empty()) {
      const std::vector<float> gamma = block.NormOf(input.norm).weight;
      for (const std::string& linear : input.linears) block.ScaleColumns(linear, gamma);
      block.SetNorm(input.norm, std::vector<float>(gamma.size(), 1.0F), {});
    }
    for (const std::string& linear : input.linears) {
      const Sides sides = sides_of(input.norm, linear);
      FloatMatrix weight = Take(block, linear);
      // The order in which msModelSlim rounds.
      if (sides.outputs.rotation != nullptr && input.norm.empty())
        RotateOutputs(sides.outputs, weight, pool);
      if (sides.inputs != nullptr) RotateInputs(*sides.inputs, weight, pool);
      if (sides.outputs.rotation != nullptr && !input.norm.empty())
        RotateOutputs(sides.outputs, weight, pool);
      Put(block, linear, weight);
      if (sides.outputs.rotation != nullptr) RotateBias(sides.outputs, block, linear);
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
