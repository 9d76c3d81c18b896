// The places of a decoder block where range can be moved from activations into weights without
// changing its function: which module gives up a scale a channel, which linears take it on. Names
// and sizes only (facts: algorithms.md 3.2, 10).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model_config.h"

namespace slim {

// kNormLinear: a norm and every linear that reads its output. kLinearLinear: two linears in a row.
// kOv: v_proj and o_proj through attention, whose weights sum to one. kUpDown: up_proj and
// down_proj; the gate multiplies in between.
enum class SmoothPair : uint8_t { kNormLinear, kLinearLinear, kOv, kUpDown };

struct SmoothPairing {
  SmoothPair kind = SmoothPair::kNormLinear;
  std::string source;  // the norm, v_proj or up_proj
  std::vector<std::string> targets;
  // kOv: channels of the target are [num_heads, head_dim], rows of the source [num_kv_heads,
  // head_dim].
  uint64_t num_heads = 0;
  uint64_t num_kv_heads = 0;
  uint64_t head_dim = 0;
  // kOv: rows of a head in the source, the last head_dim of which are values; kv_b_proj of MLA has
  // keys before them.
  uint64_t source_head_rows = 0;
};

// Of decoder block `layer`, in the order they must be folded in: up-down, ov, linear-linear,
// norm-linear. Only norms all of whose readers are known linears.
std::vector<SmoothPairing> SmoothPairings(const ModelConfig& config, uint64_t layer);

}  // namespace slim
