// The experts of one block: router, routed experts, the shared expert that sees every token. Each
// expert runs once over the tokens that chose it; its results are added in rising order of experts,
// so the bits of a token do not depend on the tokens beside it.
//
// Source of the arithmetic: transformers' modeling_qwen2_moe, _qwen3_moe, _deepseek_v2,
// _deepseek_v3, float32. The router always runs on the reference backend: a choice of experts must
// not depend on the order of a sum.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "model/model_config.h"
#include "parallel/thread_pool.h"
#include "run/block_options.h"
#include "run/mlp.h"

namespace slim {

// kStreamed: a routed expert is read when a token goes to it and dropped again; the checkpoint must
// outlive the block. One call over many tokens reads each expert once.
enum class ExpertStorage : uint8_t { kResident, kStreamed };

class ExpertMixture {
 public:
  // Errors: those of LinearLayer::Load and LoadFloatVector; RUN-router when the router is not
  // float.
  static Result<ExpertMixture> Load(const Checkpoint& checkpoint, const ModelConfig& config,
                                    uint64_t layer, Backend backend, ExpertStorage storage);
  uint64_t bytes() const;
  // Without streamed experts.
  void AddParts(BlockParts& parts);

  // x [t, hidden] → scratch.mixed [t, hidden]. Streamed: errors of reading an expert.
  Status Forward(const float* x, uint64_t t, const BlockOptions& options, BlockScratch& scratch,
                 ThreadPool& pool) const;

 private:
  Result<GatedMlp> LoadExpert(uint64_t expert) const;
  void ForwardExpert(const GatedMlp& expert, const float* x, std::span<const uint32_t> tokens,
                     std::span<const float> weights, const BlockOptions& options,
                     BlockScratch& scratch, ThreadPool& pool) const;
  void ForwardShared(const float* x, uint64_t t, const BlockOptions& options, BlockScratch& scratch,
                     ThreadPool& pool) const;

  const Checkpoint* checkpoint_ = nullptr;
  MoeConfig moe_;
  uint64_t hidden_ = 0;
  uint64_t layer_ = 0;
  Backend backend_ = Backend::kReference;
  std::string prefix_;  // "model.layers.3.mlp"
  LinearLayer router_;
  std::vector<float> correction_;
  std::vector<GatedMlp> experts_;  // empty when streamed
  std::optional<GatedMlp> shared_;
  std::optional<LinearLayer> shared_gate_;
};

}  // namespace slim
