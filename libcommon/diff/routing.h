// Whether two models with experts send the same tokens to the same experts: compares the choices of
// both while they walk the same tokens in lock step. Knows no logits.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <utility>

#include "model/model_config.h"
#include "run/router.h"

namespace slim {

struct RoutingSummary {
  uint64_t choices = 0;        // tokens times blocks with experts
  double agreement = 0;        // mean share of a token's experts that both chose
  double same_sets = 0;        // share of choices with the same experts
  uint64_t worst_layer = 0;    // with the lowest agreement, the first of equal ones
  double worst_agreement = 0;  // its mean share
};

class RoutingComparison {
 public:
  // Both route, with the same number of experts and of experts a token in the same blocks.
  static bool Comparable(const ModelConfig& first, const ModelConfig& second);

  // The first model takes its tokens before the second takes the same ones.
  void AddFirst(uint64_t layer, const Routing& routing);
  void AddSecond(uint64_t layer, const Routing& routing);

  RoutingSummary Summarize() const;

 private:
  struct Layer {
    uint64_t choices = 0;
    uint64_t same_sets = 0;
    uint64_t shared = 0;  // experts that both chose
    uint64_t chosen = 0;  // experts of the first
  };
  std::deque<std::pair<uint64_t, Routing>> waiting_;
  std::map<uint64_t, Layer> layers_;
};

}  // namespace slim
