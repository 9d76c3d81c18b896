#include "run/mixture.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "kernels/math.h"
#include "kernels/transformer.h"
#include "model/modules.h"
#include "os/interrupt.h"
#include "run/norm.h"

namespace slim {
namespace {

Result<LinearLayer> LoadRouter(const Checkpoint& checkpoint, const std::string& name, uint64_t n,
                               uint64_t hidden) {
  SLIM_ASSIGN(LinearLayer router,
              LinearLayer::Load(checkpoint, name, n, hidden, Backend::kReference));
  if (router.scheme() == Scheme::kFloat) return router;
  return InputError(
             "RUN-router",
             fmt::format("is {}, engines compute routers in float", SchemeLabel(router.scheme())),
             "quantize again with the router left out")
      .WithTensor(name + ".weight")
      .WithPath(checkpoint.path());
}

// The tokens of each expert, in token order, with their weights.
struct TokensByExpert {
  std::vector<std::vector<uint32_t>> tokens;
  std::vector<std::vector<float>> weights;

  TokensByExpert(const Routing& routing, uint64_t num_experts)
      : tokens(num_experts), weights(num_experts) {
    for (size_t i = 0; i < routing.experts.size(); ++i) {
      const uint32_t expert = routing.experts[i];
      tokens[expert].push_back(static_cast<uint32_t>(i / routing.experts_per_token));
      weights[expert].push_back(routing.weights[i]);
    }
  }
};

}  // namespace

Result<ExpertMixture> ExpertMixture::Load(const Checkpoint& checkpoint, const ModelConfig& config,
                                          uint64_t layer, Backend backend, ExpertStorage storage) {
  ExpertMixture mixture;
  mixture.checkpoint_ = &checkpoint;
  mixture.moe_ = *config.moe;
  mixture.hidden_ = config.hidden_size;
  mixture.layer_ = layer;
  mixture.backend_ = backend;
  mixture.prefix_ = BlockPrefix(config, layer) + ".mlp";
  const MoeConfig& moe = mixture.moe_;
  const std::string& prefix = mixture.prefix_;
  SLIM_ASSIGN(mixture.router_,
              LoadRouter(checkpoint, prefix + ".gate", moe.num_experts, config.hidden_size));
  if (moe.correction_bias) {
    SLIM_ASSIGN(
        mixture.correction_,
        LoadFloatVector(checkpoint, prefix + ".gate.e_score_correction_bias", moe.num_experts));
  }
  for (uint64_t i = 0; storage == ExpertStorage::kResident && i < moe.num_experts; ++i) {
    SLIM_TRY(CheckInterrupt());
    SLIM_ASSIGN(GatedMlp expert, mixture.LoadExpert(i));
    mixture.experts_.push_back(std::move(expert));
  }
  if (moe.shared_width > 0) {
    SLIM_ASSIGN(GatedMlp shared,
                GatedMlp::Load(checkpoint, fmt::format("{}.{}", prefix, moe.shared_name),
                               config.hidden_size, moe.shared_width, backend));
    mixture.shared_ = std::move(shared);
  }
  if (moe.shared_gate) {
    SLIM_ASSIGN(LinearLayer gate,
                LoadRouter(checkpoint, prefix + ".shared_expert_gate", 1, config.hidden_size));
    mixture.shared_gate_ = std::move(gate);
  }
  return mixture;
}

Result<GatedMlp> ExpertMixture::LoadExpert(uint64_t expert) const {
  return GatedMlp::Load(*checkpoint_, fmt::format("{}.experts.{}", prefix_, expert), hidden_,
                        moe_.expert_width, backend_);
}

uint64_t ExpertMixture::bytes() const {
  uint64_t total = router_.bytes() + correction_.size() * sizeof(float);
  for (const GatedMlp& expert : experts_) total += expert.bytes();
  if (shared_) total += shared_->bytes();
  if (shared_gate_) total += shared_gate_->bytes();
  return total;
}

void ExpertMixture::ForwardExpert(const GatedMlp& expert, const float* x,
                                  std::span<const uint32_t> tokens, std::span<const float> weights,
                                  const BlockOptions& options, BlockScratch& scratch,
                                  ThreadPool& pool) const {
  scratch.expert_input.resize(tokens.size() * hidden_);
  for (size_t i = 0; i < tokens.size(); ++i)
    std::copy_n(x + tokens[i] * hidden_, hidden_, scratch.expert_input.data() + i * hidden_);
  expert.Forward(scratch.expert_input.data(), tokens.size(), scratch.projected, options, scratch,
                 pool);
  for (size_t i = 0; i < tokens.size(); ++i) {
    Axpy(weights[i], scratch.projected.data() + i * hidden_,
         scratch.mixed.data() + tokens[i] * hidden_, hidden_);
  }
}

void ExpertMixture::AddParts(BlockParts& parts) {
  parts.linears.push_back(&router_);
  for (GatedMlp& expert : experts_) expert.AddParts(parts);
  if (shared_) shared_->AddParts(parts);
  if (shared_gate_) parts.linears.push_back(&*shared_gate_);
}

void ExpertMixture::ForwardShared(const float* x, uint64_t t, const BlockOptions& options,
                                  BlockScratch& scratch, ThreadPool& pool) const {
  if (!shared_) return;
  if (shared_gate_) {
    if (options.tap) options.tap(shared_gate_->name(), x, t, hidden_);
    scratch.scores.resize(t);
    shared_gate_->Forward(x, t, scratch.scores.data(), Backend::kReference, pool);
    if (options.output_tap) options.output_tap(shared_gate_->name(), scratch.scores.data(), t, 1);
  }
  shared_->Forward(x, t, scratch.projected, options, scratch, pool);
  if (!shared_gate_) return AddInPlace(scratch.mixed.data(), scratch.projected.data(), t * hidden_);
  for (uint64_t i = 0; i < t; ++i) {
    const float weight = 1.0F / (1.0F + ExpF(-scratch.scores[i]));
    Axpy(weight, scratch.projected.data() + i * hidden_, scratch.mixed.data() + i * hidden_,
         hidden_);
  }
}

Status ExpertMixture::Forward(const float* x, uint64_t t, const BlockOptions& options,
                              BlockScratch& scratch, ThreadPool& pool) const {
  if (options.tap) options.tap(router_.name(), x, t, hidden_);
  scratch.scores.resize(t * moe_.num_experts);
  router_.Forward(x, t, scratch.scores.data(), Backend::kReference, pool);
  if (options.output_tap)
    options.output_tap(router_.name(), scratch.scores.data(), t, moe_.num_experts);
  RouteTokens(moe_, scratch.scores, correction_, scratch.routing, pool);
  if (options.routing_tap) options.routing_tap(layer_, scratch.routing);
  scratch.mixed.assign(t * hidden_, 0.0F);
  const TokensByExpert chosen(scratch.routing, moe_.num_experts);
  for (uint64_t i = 0; i < moe_.num_experts; ++i) {
    if (chosen.tokens[i].empty()) continue;
    if (!experts_.empty()) {
      ForwardExpert(experts_[i], x, chosen.tokens[i], chosen.weights[i], options, scratch, pool);
      continue;
    }
    SLIM_TRY(CheckInterrupt());
    SLIM_ASSIGN(const GatedMlp expert, LoadExpert(i));
    ForwardExpert(expert, x, chosen.tokens[i], chosen.weights[i], options, scratch, pool);
  }
  ForwardShared(x, t, options, scratch, pool);
  return {};
}

}  // namespace slim
