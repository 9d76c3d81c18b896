#include "model/mixture_config.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "model/config_keys.h"

namespace slim {
namespace {

// Experts of all layers together: more than any model has; lists of modules stay small enough to
// hold whatever config.json claims.
constexpr uint64_t kMostExperts = 4096;
constexpr uint64_t kMostExpertsOfAllLayers = 1ULL << 18;

Error BadMixture(std::string message) {
  return InputError("CF-bad-value", "config.json: " + std::move(message));
}

Status CheckMixture(const MoeConfig& moe, std::string_view experts_key, uint64_t num_layers) {
  if (moe.num_experts > kMostExperts || moe.num_experts * num_layers > kMostExpertsOfAllLayers) {
    return BadMixture(fmt::format("'{}' is {} with {} layers, wanted at most {} and {} in all",
                                  experts_key, moe.num_experts, num_layers, kMostExperts,
                                  kMostExpertsOfAllLayers));
  }
  if (moe.experts_per_token > moe.num_experts) {
    return BadMixture(fmt::format("'num_experts_per_tok' is {}, but '{}' only {}",
                                  moe.experts_per_token, experts_key, moe.num_experts));
  }
  if (moe.ranking == GroupRanking::kNone) return {};
  if (moe.num_experts % moe.groups != 0) {
    return BadMixture(fmt::format("'n_group' is {}, which does not divide the {} experts",
                                  moe.groups, moe.num_experts));
  }
  if (moe.groups_kept > moe.groups) {
    return BadMixture(
        fmt::format("'topk_group' is {}, but 'n_group' only {}", moe.groups_kept, moe.groups));
  }
  const uint64_t group = moe.num_experts / moe.groups;
  if (moe.ranking == GroupRanking::kBestTwo && group < 2) {
    return BadMixture(
        fmt::format("'n_group' {} leaves groups of {} experts, their two best cannot "
                    "be summed",
                    moe.groups, group));
  }
  if (moe.experts_per_token > moe.groups_kept * group) {
    return BadMixture(
        fmt::format("'num_experts_per_tok' is {}, but 'topk_group' {} of 'n_group' {} leaves {} of "
                    "{} experts to choose from",
                    moe.experts_per_token, moe.groups_kept, moe.groups, moe.groups_kept * group,
                    moe.num_experts));
  }
  return {};
}

Status ReadDenseLayers(const Json& config, uint64_t num_layers, std::vector<uint64_t>& out) {
  const Json* layers = FindConfigValue(config, "mlp_only_layers");
  if (layers == nullptr) return {};
  bool ok = layers->is_array();
  for (const Json& item : layers->items()) {
    const auto layer = item.AsInteger();
    ok = ok && layer && *layer >= 0 && static_cast<uint64_t>(*layer) < num_layers;
    if (ok) out.push_back(static_cast<uint64_t>(*layer));
  }
  if (!ok) return BadConfigValue("mlp_only_layers", *layers, "a list of layer numbers");
  std::sort(out.begin(), out.end());
  return {};
}

// The default of `fallback` stands for a key that transformers' configuration leaves at it.
Status ReadRouting(const Json& config, MoeConfig& moe) {
  std::string_view scores = moe.scores == RouterScores::kSigmoid ? "sigmoid" : "softmax";
  std::string_view method = moe.scores == RouterScores::kSigmoid ? "noaux_tc" : "greedy";
  SLIM_TRY(ReadText(config, "scoring_func", scores));
  SLIM_TRY(ReadText(config, "topk_method", method));
  const bool sigmoid = scores == "sigmoid" && method == "noaux_tc";
  const bool softmax =
      scores == "softmax" && (method == "greedy" || method == "group_limited_greedy");
  if (!sigmoid && !softmax) {
    return InputError("CF-unsupported",
                      fmt::format("config.json routes by scoring_func {} with topk_method {}",
                                  Quote(scores), Quote(method)),
                      "known: softmax with greedy or group_limited_greedy, sigmoid with noaux_tc");
  }
  moe.scores = sigmoid ? RouterScores::kSigmoid : RouterScores::kSoftmax;
  moe.correction_bias = sigmoid;
  if (method == "greedy") return {};
  moe.ranking = sigmoid ? GroupRanking::kBestTwo : GroupRanking::kBest;
  SLIM_TRY(ReadDimension(config, "n_group", std::nullopt, moe.groups));
  return ReadDimension(config, "topk_group", std::nullopt, moe.groups_kept);
}

}  // namespace

Result<MlaConfig> ReadMlaConfig(const Json& config, Architecture architecture) {
  MlaConfig mla;
  if (FindConfigValue(config, "q_lora_rank") != nullptr) {
    uint64_t rank = 0;
    SLIM_TRY(ReadDimension(config, "q_lora_rank", std::nullopt, rank));
    mla.q_lora_rank = rank;
  }
  SLIM_TRY(ReadDimension(config, "kv_lora_rank", std::nullopt, mla.kv_lora_rank));
  SLIM_TRY(ReadDimension(config, "qk_nope_head_dim", std::nullopt, mla.nope_dim));
  SLIM_TRY(ReadDimension(config, "qk_rope_head_dim", std::nullopt, mla.rope_dim));
  SLIM_TRY(ReadDimension(config, "v_head_dim", std::nullopt, mla.value_dim));
  if (architecture == Architecture::kDeepseekV3)
    SLIM_TRY(ReadFlag(config, "rope_interleave", mla.interleaved));
  return mla;
}

Result<std::optional<MoeConfig>> ReadQwenMoeConfig(const Json& config, Architecture architecture,
                                                   uint64_t num_layers) {
  MoeConfig moe;
  // transformers 5 writes num_local_experts.
  const bool local = FindConfigValue(config, "num_experts") == nullptr &&
                     FindConfigValue(config, "num_local_experts") != nullptr;
  const std::string_view key = local ? "num_local_experts" : "num_experts";
  if (FindConfigValue(config, key) == nullptr) return MissingConfigKey(key);
  SLIM_TRY(ReadCount(config, key, kLargestDimension, moe.num_experts));
  if (moe.num_experts == 0) return std::optional<MoeConfig>();
  SLIM_TRY(ReadDimension(config, "num_experts_per_tok", std::nullopt, moe.experts_per_token));
  SLIM_TRY(ReadDimension(config, "moe_intermediate_size", std::nullopt, moe.expert_width));
  SLIM_TRY(ReadFlag(config, "norm_topk_prob", moe.normalize));
  SLIM_TRY(ReadDimension(config, "decoder_sparse_step", 1, moe.step));
  moe.step_shift = 1;
  if (architecture == Architecture::kQwen2Moe) {
    SLIM_TRY(
        ReadDimension(config, "shared_expert_intermediate_size", std::nullopt, moe.shared_width));
    moe.shared_name = "shared_expert";
    moe.shared_gate = true;
  }
  SLIM_TRY(ReadDenseLayers(config, num_layers, moe.dense_layers));
  SLIM_TRY(CheckMixture(moe, key, num_layers));
  return std::optional<MoeConfig>(std::move(moe));
}

Result<std::optional<MoeConfig>> ReadDeepseekMoeConfig(const Json& config,
                                                       Architecture architecture,
                                                       uint64_t num_layers) {
  MoeConfig moe;
  SLIM_TRY(ReadCount(config, "n_routed_experts", kLargestDimension, moe.num_experts));
  if (moe.num_experts == 0) return std::optional<MoeConfig>();
  SLIM_TRY(ReadDimension(config, "num_experts_per_tok", std::nullopt, moe.experts_per_token));
  SLIM_TRY(ReadDimension(config, "moe_intermediate_size", std::nullopt, moe.expert_width));
  uint64_t shared = 0;
  SLIM_TRY(ReadCount(config, "n_shared_experts", kMostExperts, shared));
  moe.shared_width = shared * moe.expert_width;
  moe.shared_name = "shared_experts";
  SLIM_TRY(ReadCount(config, "first_k_dense_replace", kLargestDimension, moe.first_layer));
  SLIM_TRY(ReadDimension(config, "moe_layer_freq", 1, moe.step));
  SLIM_TRY(ReadPositive(config, "routed_scaling_factor", moe.scaling));
  SLIM_TRY(ReadFlag(config, "norm_topk_prob", moe.normalize));
  if (architecture == Architecture::kDeepseekV3) moe.scores = RouterScores::kSigmoid;
  SLIM_TRY(ReadRouting(config, moe));
  if (moe.scores == RouterScores::kSoftmax && moe.normalize) {
    // The published code and transformers differ in what they scale then; no model has it.
    return InputError("CF-unsupported",
                      "config.json: 'norm_topk_prob' is true with scoring_func softmax");
  }
  SLIM_TRY(CheckMixture(moe, "n_routed_experts", num_layers));
  return std::optional<MoeConfig>(std::move(moe));
}

}  // namespace slim
