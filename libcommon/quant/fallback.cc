#include "quant/fallback.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "diff/compare.h"
#include "model/modules.h"
#include "os/output.h"
#include "quant/advice.h"
#include "quant/analyze.h"
#include "quant/quantize.h"

namespace slim {
namespace {

// Groups that are tried without one by one, from the least needed.
constexpr size_t kPrunedGroups = 12;

// "….experts.7.up_proj" is one of "….experts.*.up_proj".
std::string WithoutExpert(const std::string& linear) {
  constexpr std::string_view kExperts = ".experts.";
  const size_t place = linear.find(kExperts);
  if (place == std::string::npos) return linear;
  const size_t number = place + kExperts.size();
  return linear.substr(0, number) + "*" + linear.substr(linear.find('.', number));
}

class FallbackSearch {
 public:
  FallbackSearch(const Checkpoint& source, const QuantOptions& options, double budget,
                 Listener& listener)
      : source_(source), options_(options), budget_(budget), listener_(listener) {
    options_.measure = true;
  }

  Result<FallbackResult> Run(const std::string& target) {
    SLIM_ASSIGN(OutputDirectory work,
                OutputDirectory::Create(target + ".fallback", {.fsync = false}, listener_));
    work_ = &work;
    SLIM_ASSIGN(result_.kl_before, Try({}));
    result_.kl_after = result_.kl_before;
    if (result_.kl_before <= budget_) return std::move(result_);
    SLIM_TRY(RankGroups());
    SLIM_ASSIGN(size_t count, FewestOfRanking());
    std::vector<bool> kept(groups_.size());
    std::fill_n(kept.begin(), count, true);
    SLIM_TRY(Prune(kept, count));
    for (size_t i = 0; i < groups_.size(); ++i) {
      if (kept[i]) result_.kept_float.push_back(groups_[i]);
    }
    return std::move(result_);
  }

 private:
  // The KL of the model with `names` in float.
  Result<double> Try(std::vector<std::string> names) {
    options_.recipe.fallback = std::move(names);
    SLIM_ASSIGN(plan_, PlanQuantization(source_, options_, SilentListener()));
    const std::string trial = work_->PartialPath("trial");
    SLIM_ASSIGN(const QuantSummary summary,
                Quantize(source_, plan_, options_, trial, {.force = true, .fsync = false},
                         SilentListener()));
    if (result_.tries == 0) measurements_ = summary.measurements;
    ++result_.tries;
    DiffOptions diff;
    diff.first = source_.path();
    diff.second = trial;
    diff.prompts = options_.recipe.calibration_file;
    diff.max_windows = kFallbackWindows;
    diff.greedy = false;
    diff.backend = Backend::kReference;
    diff.threads = options_.threads;
    SLIM_ASSIGN(const DiffResult compared, CompareCheckpoints(diff, SilentListener()));
    if (compared.non_finite) return InputError("QU-budget", "logits of a try are not finite");
    const double kl = compared.summary.kl.mean;
    listener_.Note(fmt::format("tried with {} layers kept in float: KL {:.6f}",
                               options_.recipe.fallback.size(), kl));
    return kl;
  }

  Result<double> TryGroups(const std::vector<bool>& kept) {
    std::vector<std::string> names;
    for (size_t i = 0; i < groups_.size(); ++i) {
      if (!kept[i]) continue;
      names.insert(names.end(), groups_[i].linears.begin(), groups_[i].linears.end());
    }
    return Try(std::move(names));
  }

  Status RankGroups() {
    std::map<std::string, double> scores;
    const bool by_inputs =
        std::any_of(plan_.linears.begin(), plan_.linears.end(), [](const LinearPlan& linear) {
          return linear.scheme != Scheme::kFloat && linear.activation.dtype != CodeType::kFloat;
        });
    if (by_inputs) {
      AnalysisOptions analysis;
      analysis.calibration_file = options_.recipe.calibration_file;
      analysis.threads = options_.threads;
      SLIM_ASSIGN(const Analysis ranking, AnalyzeModel(source_, analysis, SilentListener()));
      for (const LayerScore& layer : ranking.scores) scores[layer.name] = layer.score;
    } else {
      for (const LinearMeasurement& linear : measurements_)
        scores[linear.name] = -linear.weight_sqnr_db.value_or(0);
    }
    MakeGroups(scores);
    std::stable_sort(
        groups_.begin(), groups_.end(),
        [](const FallbackGroup& a, const FallbackGroup& b) { return a.score > b.score; });
    return {};
  }

  void MakeGroups(const std::map<std::string, double>& scores) {
    std::map<std::string, std::string> leaders;
    for (uint64_t layer = 0; layer < plan_.config.num_layers; ++layer) {
      for (const SharedInput& input : SharedInputs(plan_.config, layer)) {
        for (const std::string& linear : input.linears)
          leaders[linear] = WithoutExpert(input.linears.front());
      }
    }
    std::map<std::string, size_t> places;
    for (const LinearPlan& linear : plan_.linears) {
      if (linear.scheme == Scheme::kFloat) continue;
      const auto leader = leaders.find(linear.name);
      const std::string& key = leader == leaders.end() ? linear.name : leader->second;
      const auto [place, fresh] = places.emplace(key, groups_.size());
      if (fresh) groups_.emplace_back();
      FallbackGroup& group = groups_[place->second];
      const auto score = scores.find(linear.name);
      const double value = score == scores.end() ? 0.0 : score->second;
      group.score = fresh ? value : std::max(group.score, value);
      group.linears.push_back(linear.name);
    }
  }

  // By halving: the first `count` groups of the ranking in float.
  Result<size_t> FewestOfRanking() {
    const auto kl_of = [&](size_t count) {
      std::vector<bool> kept(groups_.size());
      std::fill_n(kept.begin(), count, true);
      return TryGroups(kept);
    };
    if (groups_.size() < 2) return Unmeetable();
    size_t low = 0;  // is not within the budget
    size_t high = groups_.size() - 1;
    SLIM_ASSIGN(double kl, kl_of(high));
    if (kl > budget_) return Unmeetable();
    result_.kl_after = kl;
    while (high - low > 1) {
      const size_t middle = low + (high - low) / 2;
      SLIM_ASSIGN(kl, kl_of(middle));
      if (kl <= budget_) {
        high = middle;
        result_.kl_after = kl;
      } else {
        low = middle;
      }
    }
    return high;
  }

  Error Unmeetable() const {
    AdviceSituation at = SituationOf(plan_, options_);
    at.falls_back = true;
    return InputError("QU-budget",
                      fmt::format("no quantized layer is left within a budget of kl={}", budget_),
                      "raise the budget; " + AdviceLine(AdviceTopic::kAccuracy, at));
  }

  // A group that the ranking puts too high may not be needed.
  Status Prune(std::vector<bool>& kept, size_t count) {
    const size_t last = count > kPrunedGroups ? count - kPrunedGroups : 0;
    // The last of the ranking is needed: without it the halving stopped.
    for (size_t i = count - 1; i-- > last;) {
      kept[i] = false;
      SLIM_ASSIGN(const double kl, TryGroups(kept));
      kept[i] = kl > budget_;
      if (!kept[i]) result_.kl_after = kl;
    }
    return {};
  }

  const Checkpoint& source_;
  QuantOptions options_;
  const double budget_;
  Listener& listener_;
  OutputDirectory* work_ = nullptr;
  QuantPlan plan_;
  std::vector<LinearMeasurement> measurements_;
  std::vector<FallbackGroup> groups_;  // by falling score
  FallbackResult result_;
};

}  // namespace

Result<FallbackResult> ChooseFallback(const Checkpoint& source, const QuantOptions& options,
                                      double budget, const std::string& target,
                                      Listener& listener) {
  return FallbackSearch(source, options, budget, listener).Run(target);
}

}  // namespace slim
