#include "diff/routing.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <vector>

namespace slim {

bool RoutingComparison::Comparable(const ModelConfig& first, const ModelConfig& second) {
  if (!first.moe || !second.moe || first.num_layers != second.num_layers) return false;
  if (first.moe->num_experts != second.moe->num_experts) return false;
  if (first.moe->experts_per_token != second.moe->experts_per_token) return false;
  for (uint64_t layer = 0; layer < first.num_layers; ++layer) {
    if (first.IsMoeLayer(layer) != second.IsMoeLayer(layer)) return false;
  }
  return true;
}

void RoutingComparison::AddFirst(uint64_t layer, const Routing& routing) {
  waiting_.emplace_back(layer, routing);
}

void RoutingComparison::AddSecond(uint64_t layer, const Routing& routing) {
  assert(!waiting_.empty() && waiting_.front().first == layer);
  const Routing first = std::move(waiting_.front().second);
  waiting_.pop_front();
  assert(first.experts.size() == routing.experts.size());
  Layer& sum = layers_[layer];
  const auto count = static_cast<ptrdiff_t>(routing.experts_per_token);
  std::vector<uint32_t> both;
  for (ptrdiff_t i = 0; i < std::ssize(first.experts); i += count) {
    both.clear();
    const auto a = first.experts.begin() + i;
    const auto b = routing.experts.begin() + i;
    std::set_intersection(a, a + count, b, b + count, std::back_inserter(both));
    ++sum.choices;
    sum.chosen += static_cast<uint64_t>(count);
    sum.shared += both.size();
    sum.same_sets += std::ssize(both) == count ? 1 : 0;
  }
}

RoutingSummary RoutingComparison::Summarize() const {
  RoutingSummary summary;
  Layer all;
  summary.worst_agreement = 2;
  for (const auto& [number, layer] : layers_) {
    all.choices += layer.choices;
    all.same_sets += layer.same_sets;
    all.shared += layer.shared;
    all.chosen += layer.chosen;
    const double agreement = static_cast<double>(layer.shared) / static_cast<double>(layer.chosen);
    if (agreement >= summary.worst_agreement) continue;
    summary.worst_layer = number;
    summary.worst_agreement = agreement;
  }
  summary.choices = all.choices;
  if (all.choices == 0) return {};
  summary.agreement = static_cast<double>(all.shared) / static_cast<double>(all.chosen);
  summary.same_sets = static_cast<double>(all.same_sets) / static_cast<double>(all.choices);
  return summary;
}

}  // namespace slim
