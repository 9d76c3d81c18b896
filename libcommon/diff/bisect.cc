#include "diff/bisect.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "model/modules.h"

namespace slim {
namespace {

bool IsRoutedExpert(std::string_view linear) {
  return linear.find(".experts.") != std::string_view::npos;
}

// The groups of a block, routers left out.
std::vector<FusedGroup> GroupsOf(const ModelConfig& config, uint64_t layer) {
  std::vector<FusedGroup> groups;
  FusedGroup experts{layer, {}, {BlockPrefix(config, layer) + ".mlp.experts.*"}, 0};
  std::vector<std::string> no_group;
  for (const Module& module : BlockModules(config, layer)) {
    if (module.kind == ModuleKind::kRouter) no_group.push_back(module.name);
  }
  for (const SharedInput& input : SharedInputs(config, layer)) {
    FusedGroup group{layer, {}, {}, 0};
    for (const std::string& linear : input.linears) {
      if (std::find(no_group.begin(), no_group.end(), linear) != no_group.end()) continue;
      (IsRoutedExpert(linear) ? experts.linears : group.linears).push_back(linear);
    }
    group.selectors = group.linears;
    if (!group.linears.empty()) groups.push_back(std::move(group));
  }
  if (!experts.linears.empty()) groups.push_back(std::move(experts));
  return groups;
}

// The second model with some groups in float; one lane of hidden states each.
struct Trial {
  std::vector<size_t> groups;
  uint64_t first_layer = 0;
  std::optional<HiddenWalk> walk;  // empty before its first layer: as without any group
};

class Trials {
 public:
  Trials(const OpenModel& first, const OpenModel& second, std::span<const FusedGroup> groups,
         const LayerProbe& probe, std::span<const std::vector<int32_t>> windows,
         const BisectOptions& options, ThreadPool& pool, Listener& listener)
      : first_(first),
        second_(second),
        groups_(groups),
        probe_(probe),
        windows_(windows),
        pool_(pool),
        listener_(listener),
        block_options_(BlockOptionsOf(options.walk)) {}

  // Mean KL of the second as it is, then of each set of groups kept in float.
  Result<std::vector<double>> Run(const std::vector<std::vector<size_t>>& sets) {
    trials_.assign(1, Trial());
    for (const std::vector<size_t>& set : sets) {
      Trial trial{set, second_.config.num_layers, {}};
      for (const size_t group : set)
        trial.first_layer = std::min(trial.first_layer, groups_[group].layer);
      trials_.push_back(std::move(trial));
    }
    SLIM_ASSIGN(HiddenWalk start, HiddenWalk::Begin(second_, Side::kSecond, windows_));
    trials_[0].walk.emplace(std::move(start));
    SLIM_TRY(WalkFirst());
    for (uint64_t layer = 0; layer < second_.config.num_layers; ++layer) {
      SLIM_TRY(ForwardBlock(layer));
      listener_.Progress("blocks with layers in float", layer + 1, second_.config.num_layers);
    }
    return Divergences();
  }

 private:
  // The first model's last hidden states; the same for every run.
  Status WalkFirst() {
    if (first_walk_) return {};
    SLIM_ASSIGN(HiddenWalk walk, HiddenWalk::Begin(first_, Side::kFirst, windows_));
    for (uint64_t layer = 0; layer < first_.config.num_layers; ++layer) {
      SLIM_ASSIGN(const DecoderBlock block,
                  LoadBlock(first_, layer, block_options_.backend, ExpertStorage::kStreamed));
      SLIM_TRY(Forward(block, walk));
    }
    first_walk_.emplace(std::move(walk));
    return {};
  }

  Status Forward(const DecoderBlock& block, HiddenWalk& walk) {
    std::optional<NonFinite> found;
    SLIM_TRY(walk.Forward(block, block_options_, pool_, 1, found));
    if (!found) return {};
    return InputError("RUN-not-finite", found->where + ": " + found->detail)
        .WithPath(walk.model().checkpoint.path());
  }

  bool StartsAt(const Trial& trial, uint64_t layer) const {
    return std::any_of(trial.groups.begin(), trial.groups.end(),
                       [&](size_t group) { return groups_[group].layer == layer; });
  }

  Status ForwardBlock(uint64_t layer) {
    const bool changed = std::any_of(trials_.begin(), trials_.end(),
                                     [&](const Trial& trial) { return StartsAt(trial, layer); });
    // Linears are replaced by name: experts are all there.
    SLIM_ASSIGN(DecoderBlock block,
                LoadBlock(second_, layer, block_options_.backend,
                          changed ? ExpertStorage::kResident : ExpertStorage::kStreamed));
    std::map<std::string_view, LinearLayer*> linears;
    for (LinearLayer* linear : block.Parts().linears) linears[linear->name()] = linear;
    // Before the second's own hidden states move on.
    for (Trial& trial : trials_) {
      if (!trial.walk && StartsAt(trial, layer)) trial.walk = trials_[0].walk;
    }
    for (Trial& trial : trials_) {
      if (!trial.walk) continue;
      std::vector<std::pair<LinearLayer*, LinearLayer>> replaced;
      for (const size_t group : trial.groups) {
        if (groups_[group].layer == layer) SLIM_TRY(KeepFloat(group, linears, replaced));
      }
      const Status status = Forward(block, *trial.walk);
      for (auto& [linear, original] : replaced) std::swap(*linear, original);
      SLIM_TRY(status);
    }
    return {};
  }

  Status KeepFloat(size_t group, const std::map<std::string_view, LinearLayer*>& linears,
                   std::vector<std::pair<LinearLayer*, LinearLayer>>& replaced) {
    const BlockFrames& frames = probe_.frames(groups_[group].layer);
    for (const std::string& name : groups_[group].linears) {
      SLIM_ASSIGN(LinearRecord record, first_.checkpoint.ReadLinear(name));
      SLIM_ASSIGN(LinearLayer kept,
                  FramedLinear(std::move(record), frames.Of(name), block_options_.backend));
      LinearLayer* linear = linears.at(name);
      std::swap(*linear, kept);
      replaced.emplace_back(linear, std::move(kept));
    }
    return {};
  }

  Result<std::vector<double>> Divergences() {
    if (!first_head_) {
      SLIM_ASSIGN(first_head_, LoadHead(first_, block_options_.backend));
      SLIM_ASSIGN(second_head_, LoadHead(second_, block_options_.backend));
    }
    WalkedLogits first(*first_walk_, *first_head_, block_options_, pool_);
    std::vector<WalkedLogits> logits;
    logits.reserve(trials_.size());
    std::vector<LogitSource*> others;
    for (const Trial& trial : trials_) {
      logits.emplace_back(trial.walk ? *trial.walk : *trials_[0].walk, *second_head_,
                          block_options_, pool_);
      others.push_back(&logits.back());
    }
    LogitComparison comparison(first_.config.vocab_size, others.size(), pool_);
    SLIM_TRY(comparison.Add(first, others, windows_, windows_.size(), listener_));
    std::vector<double> kl;
    for (size_t i = 0; i < others.size(); ++i)
      kl.push_back(EstimateMean(comparison.statistics(i).Divergences()).mean);
    return kl;
  }

  const OpenModel& first_;
  const OpenModel& second_;
  std::span<const FusedGroup> groups_;
  const LayerProbe& probe_;
  std::span<const std::vector<int32_t>> windows_;
  ThreadPool& pool_;
  Listener& listener_;
  BlockOptions block_options_;
  std::vector<Trial> trials_;
  std::optional<HiddenWalk> first_walk_;
  std::optional<OutputHead> first_head_;
  std::optional<OutputHead> second_head_;
};

std::span<const std::vector<int32_t>> FirstWindows(std::span<const std::vector<int32_t>> windows,
                                                   uint64_t max_tokens) {
  uint64_t tokens = windows[0].size();
  size_t count = 1;
  while (count < windows.size() && tokens + windows[count].size() <= max_tokens)
    tokens += windows[count++].size();
  return windows.first(count);
}

uint64_t Advised(const BisectResult& result, const std::optional<double>& max_kl) {
  if (result.together.empty()) return 0;
  for (const double limit : {max_kl.value_or(-1.0), result.kl / 2}) {
    for (size_t i = 0; i < result.together.size(); ++i) {
      if (result.together[i] <= limit) return i + 1;
    }
  }
  const auto least = std::min_element(result.together.begin(), result.together.end());
  return static_cast<uint64_t>(least - result.together.begin()) + 1;
}

}  // namespace

Result<std::vector<FusedGroup>> RankGroups(const OpenModel& first, const OpenModel& second,
                                           const LayerErrors& errors) {
  std::map<std::string_view, double> local;
  for (const LinearErrors& linear : errors.linears) local[linear.name] = linear.local.sqnr_db;
  std::map<uint64_t, double> blocks;
  for (const BlockErrors& block : errors.blocks) blocks[block.layer] = block.local.sqnr_db;
  std::vector<FusedGroup> ranked;
  for (uint64_t layer = 0; layer < first.config.num_layers; ++layer) {
    for (FusedGroup& group : GroupsOf(first.config, layer)) {
      bool quantized = false;
      bool all_float_before = true;
      std::optional<double> worst;
      for (const std::string& linear : group.linears) {
        SLIM_ASSIGN(const Scheme before, first.checkpoint.SchemeOf(linear));
        SLIM_ASSIGN(const Scheme after, second.checkpoint.SchemeOf(linear));
        all_float_before = all_float_before && before == Scheme::kFloat;
        quantized = quantized || after != Scheme::kFloat;
        const auto found = local.find(linear);  // experts that no token went to are not there
        if (found != local.end()) worst = std::min(worst.value_or(found->second), found->second);
      }
      if (!quantized || !all_float_before || !worst) continue;
      group.local_sqnr_db = *worst;
      ranked.push_back(std::move(group));
    }
  }
  const auto key = [&](const FusedGroup& group) {
    return std::pair(std::min(group.local_sqnr_db, blocks[group.layer]), group.local_sqnr_db);
  };
  std::stable_sort(ranked.begin(), ranked.end(),
                   [&](const FusedGroup& a, const FusedGroup& b) { return key(a) < key(b); });
  return ranked;
}

std::vector<std::string> BisectResult::DisableNames() const {
  std::vector<std::string> names;
  for (uint64_t i = 0; i < advised; ++i) {
    const std::vector<std::string>& selectors = kept[i].group.selectors;
    names.insert(names.end(), selectors.begin(), selectors.end());
  }
  return names;
}

Result<BisectResult> Bisect(const OpenModel& first, const OpenModel& second,
                            std::span<const FusedGroup> ranked, const LayerProbe& probe,
                            std::span<const std::vector<int32_t>> windows,
                            const BisectOptions& options, ThreadPool& pool, Listener& listener) {
  BisectResult result;
  const std::span<const FusedGroup> groups =
      ranked.first(std::min<size_t>(ranked.size(), options.groups));
  windows = FirstWindows(windows, options.max_tokens);
  for (const std::vector<int32_t>& window : windows) result.positions += window.size();
  Trials trials(first, second, groups, probe, windows, options, pool, listener);
  std::vector<std::vector<size_t>> alone;
  for (size_t i = 0; i < groups.size(); ++i) alone.push_back({i});
  SLIM_ASSIGN(const std::vector<double> kl, trials.Run(alone));
  result.kl = kl[0];
  std::vector<size_t> order(groups.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return kl[a + 1] < kl[b + 1]; });
  std::vector<std::vector<size_t>> sets;
  for (const size_t group : order) {
    result.kept.push_back({groups[group], kl[group + 1]});
    if (kl[group + 1] >= result.kl) continue;
    sets.push_back(sets.empty() ? std::vector<size_t>() : sets.back());
    sets.back().push_back(group);
  }
  if (!sets.empty()) {
    SLIM_ASSIGN(const std::vector<double> together, trials.Run(sets));
    result.together.assign(together.begin() + 1, together.end());
  }
  result.advised = Advised(result, options.max_kl);
  return result;
}

}  // namespace slim
