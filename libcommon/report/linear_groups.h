// Linears of a plan put together over the blocks, so that a model of a hundred blocks reads like
// one of two.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "quant/plan.h"

namespace slim {

struct LinearGroup {
  std::string pattern;  // "model.layers.*.mlp.up_proj"
  const LinearPlan* first = nullptr;
  std::vector<uint64_t> layers;  // empty: a name outside the blocks
  uint64_t bytes_before = 0;
  uint64_t bytes_after = 0;
};

// "model.layers.3.mlp.up_proj" -> {"model.layers.*.mlp.up_proj", 3}; a name outside the blocks has
// no layer.
std::pair<std::string, std::optional<uint64_t>> SplitLayer(const std::string& name);

// Linears with equal pattern, type, reason and shape, in model order. `plan` must outlive them.
std::vector<LinearGroup> GroupLinears(const QuantPlan& plan);

// "model.layers.{0..3}.mlp.up_proj"
std::string GroupName(const std::string& pattern, const std::vector<uint64_t>& layers);

}  // namespace slim
