// Which layers are worth keeping in float: measured by trying. The second checkpoint runs again
// with the first's float weights in one group of linears, and the KL divergence that is left is
// compared with what it was. A group is what loaders fuse and so must be of one type: q, k, v; gate
// and up; the routed experts of a block.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "diff/layer_errors.h"
#include "diff/pair_walk.h"

namespace slim {

struct FusedGroup {
  uint64_t layer = 0;
  std::vector<std::string> linears;
  // What slim-quant --disable-names takes to leave them in float: their names, or one pattern.
  std::vector<std::string> selectors;
  double local_sqnr_db = 0;  // of the worst of them
};

// Groups with a quantized linear that the first checkpoint has in float, the lowest local SQNR of
// their own or of their block first: a block may make much of a small error, as by another choice
// of experts.
Result<std::vector<FusedGroup>> RankGroups(const OpenModel& first, const OpenModel& second,
                                           const LayerErrors& errors);

struct KeptGroup {
  FusedGroup group;
  double kl = 0;  // mean, with this group alone in float
};

struct BisectResult {
  uint64_t positions = 0;       // that were tried on
  double kl = 0;                // mean over them, as the checkpoint is
  std::vector<KeptGroup> kept;  // the lowest KL first
  // Mean KL with the first 1, 2, … of `kept` in float together; as many as helped alone.
  std::vector<double> together;
  // How many of `kept` the advice is to keep: the fewest that meet the limit, else the fewest that
  // halve the divergence, else those with the lowest.
  uint64_t advised = 0;

  std::vector<std::string> DisableNames() const;
};

struct BisectOptions {
  uint64_t groups = 8;           // tried at most
  uint64_t max_tokens = 4096;    // the first windows, up to about so many tokens
  std::optional<double> max_kl;  // the limit that is to be met
  WalkOptions walk;
};

// `frames` has walked the same checkpoints. Errors: those of loading, RUN-not-finite.
Result<BisectResult> Bisect(const OpenModel& first, const OpenModel& second,
                            std::span<const FusedGroup> ranked, const LayerProbe& probe,
                            std::span<const std::vector<int32_t>> windows,
                            const BisectOptions& options, ThreadPool& pool, Listener& listener);

}  // namespace slim
