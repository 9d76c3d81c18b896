// The keys of config.json that describe routed experts and latent attention. Source of the meaning:
// transformers' configuration and modeling files of qwen2_moe, qwen3_moe, deepseek_v2, deepseek_v3.
#pragma once

#include "base/result.h"
#include "json/json.h"
#include "model/model_config.h"

namespace slim {

// Errors: CF-missing-key, CF-bad-value, CF-unsupported.
Result<MlaConfig> ReadMlaConfig(const Json& config, Architecture architecture);
// num_experts …; empty when there are none.
Result<std::optional<MoeConfig>> ReadQwenMoeConfig(const Json& config, Architecture architecture,
                                                   uint64_t num_layers);
// n_routed_experts …; empty when there are none.
Result<std::optional<MoeConfig>> ReadDeepseekMoeConfig(const Json& config,
                                                       Architecture architecture,
                                                       uint64_t num_layers);

}  // namespace slim
