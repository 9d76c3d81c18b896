// Which experts a token goes to, and with what weights. Bit-defined: own exponential, sums in a
// fixed order, ties in favour of the expert with the smaller number.
//
// Sources: transformers' Qwen2MoeTopKRouter, Qwen3MoeTopKRouter (softmax, then the best),
// DeepseekV2TopkRouter (softmax, groups ranked by their best), DeepseekV3TopkRouter (sigmoid,
// e_score_correction_bias added for the choice, groups ranked by the sum of their best two).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/model_config.h"
#include "parallel/thread_pool.h"

namespace slim {

struct Routing {
  uint64_t experts_per_token = 0;
  std::vector<uint32_t> experts;  // [t, experts_per_token], ascending within a token
  std::vector<float> weights;     // [t, experts_per_token]
};

// `logits` is [t, num_experts] and is left as the scores; `correction` has num_experts values, or
// none.
void RouteTokens(const MoeConfig& moe, std::span<float> logits, std::span<const float> correction,
                 Routing& routing, ThreadPool& pool);

// Sees the choice of every block with experts.
using RoutingTap = std::function<void(uint64_t layer, const Routing& routing)>;

}  // namespace slim
