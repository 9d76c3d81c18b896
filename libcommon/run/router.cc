#include "run/router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/math.h"
#include "kernels/transformer.h"

namespace slim {
namespace {

// One token's choice; keeps its arrays from token to token.
class Chooser {
 public:
  Chooser(const MoeConfig& moe, std::span<const float> correction)
      : moe_(moe), correction_(correction), ranks_(moe.num_experts) {}

  // `scores` holds logits and becomes scores.
  void Choose(std::span<float> scores, uint32_t* experts, float* weights) {
    if (moe_.scores == RouterScores::kSoftmax) {
      Softmax(scores.data(), scores.size());
    } else {
      for (float& score : scores) score = 1.0F / (1.0F + ExpF(-score));
    }
    std::copy(scores.begin(), scores.end(), ranks_.begin());
    for (size_t i = 0; i < correction_.size(); ++i) ranks_[i] += correction_[i];
    // NaN has no place in an order; the block's output shows it.
    for (float& rank : ranks_) {
      if (std::isnan(rank)) rank = -std::numeric_limits<float>::infinity();
    }
    candidates_.resize(moe_.num_experts);
    std::iota(candidates_.begin(), candidates_.end(), 0U);
    if (moe_.ranking != GroupRanking::kNone) KeepBestGroups();
    KeepBest(ranks_, moe_.experts_per_token, candidates_);
    std::sort(candidates_.begin(), candidates_.end());
    std::copy(candidates_.begin(), candidates_.end(), experts);
    float sum = 0;
    for (size_t i = 0; i < candidates_.size(); ++i) {
      weights[i] = scores[candidates_[i]];
      sum += weights[i];
    }
    // DeepSeek guards the quotient against a token whose scores all vanish.
    if (moe_.scores == RouterScores::kSigmoid) sum += 1e-20F;
    const auto scaling = static_cast<float>(moe_.scaling);
    for (size_t i = 0; i < candidates_.size(); ++i) {
      if (moe_.normalize) weights[i] /= sum;
      weights[i] *= scaling;
    }
  }

 private:
  // Cuts `indices` to the `count` with the highest `values`.
  static void KeepBest(const std::vector<float>& values, uint64_t count,
                       std::vector<uint32_t>& indices) {
    const auto better = [&](uint32_t a, uint32_t b) {
      return values[a] != values[b] ? values[a] > values[b] : a < b;
    };
    std::partial_sort(indices.begin(), indices.begin() + static_cast<ptrdiff_t>(count),
                      indices.end(), better);
    indices.resize(count);
  }

  void KeepBestGroups() {
    const uint64_t size = moe_.num_experts / moe_.groups;
    group_ranks_.resize(moe_.groups);
    for (uint64_t group = 0; group < moe_.groups; ++group) {
      float best = ranks_[group * size];
      float second = -std::numeric_limits<float>::infinity();
      for (uint64_t i = group * size + 1; i < (group + 1) * size; ++i) {
        second = std::max(second, std::min(best, ranks_[i]));
        best = std::max(best, ranks_[i]);
      }
      group_ranks_[group] = moe_.ranking == GroupRanking::kBestTwo ? best + second : best;
    }
    groups_.resize(moe_.groups);
    std::iota(groups_.begin(), groups_.end(), 0U);
    KeepBest(group_ranks_, moe_.groups_kept, groups_);
    candidates_.clear();
    for (const uint32_t group : groups_) {
      for (uint64_t i = 0; i < size; ++i)
        candidates_.push_back(static_cast<uint32_t>(group * size + i));
    }
  }

  const MoeConfig& moe_;
  std::span<const float> correction_;
  std::vector<float> ranks_;
  std::vector<float> group_ranks_;
  std::vector<uint32_t> groups_;
  std::vector<uint32_t> candidates_;
};

}  // namespace

void RouteTokens(const MoeConfig& moe, std::span<float> logits, std::span<const float> correction,
                 Routing& routing, ThreadPool& pool) {
  const uint64_t t = logits.size() / moe.num_experts;
  routing.experts_per_token = moe.experts_per_token;
  routing.experts.resize(t * moe.experts_per_token);
  routing.weights.resize(t * moe.experts_per_token);
  pool.ParallelFor(t, 64, [&](uint64_t begin, uint64_t end) {
    Chooser chooser(moe, correction);
    for (uint64_t i = begin; i < end; ++i) {
      chooser.Choose(logits.subspan(i * moe.num_experts, moe.num_experts),
                     routing.experts.data() + i * moe.experts_per_token,
                     routing.weights.data() + i * moe.experts_per_token);
    }
  });
}

}  // namespace slim
