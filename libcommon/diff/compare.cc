#include "diff/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "diff/greedy.h"
#include "diff/pair_walk.h"
#include "diff/prompts.h"
#include "diff/shared_tokenizer.h"
#include "os/install.h"
#include "os/memory.h"
#include "run/embedding.h"

namespace slim {
namespace {

constexpr std::string_view kShippedPrompts = "calibration/default.jsonl";

Result<uint64_t> WindowLength(const DiffOptions& options, const OpenModel& first,
                              const OpenModel& second, Listener& listener) {
  const OpenModel& shorter =
      second.config.max_position < first.config.max_position ? second : first;
  const uint64_t context = shorter.config.max_position;
  const uint64_t wanted = options.window_tokens == 0 ? kDefaultWindow : options.window_tokens;
  if (wanted <= context) return wanted;
  if (options.window_tokens != 0)
    return UsageError(fmt::format("--tokens {} is more than the {} positions of {}", wanted,
                                  context, Escape(shorter.checkpoint.path())),
                      fmt::format("--tokens {} is the most", context));
  if (context < 2)
    return InputError("DIFF-context", "has a context of one position: nothing can be compared")
        .WithPath(shorter.checkpoint.path());
  listener.Note(fmt::format("windows of {} tokens, the context of {}", context,
                            Escape(shorter.checkpoint.path())));
  return context;
}

Result<Prompts> FindPrompts(const DiffOptions& options, Listener& listener) {
  if (!options.prompts.empty()) return ReadPrompts(options.prompts);
  SLIM_ASSIGN(const std::string path, FindInstalledFile(kShippedPrompts));
  listener.Note(fmt::format("no prompts given: comparing on the calibration set that ships, {}",
                            Escape(path)));
  return ReadPrompts(path);
}

Result<std::vector<std::vector<int32_t>>> MakeWindows(const SharedTokenizer& tokenizer,
                                                      const Prompts& prompts,
                                                      const WindowOptions& options,
                                                      const ModelConfig& config) {
  std::vector<std::vector<int32_t>> texts;
  for (const std::string& text : prompts.texts) {
    SLIM_ASSIGN(std::vector<int32_t> ids, tokenizer.Encode(text, prompts.source));
    if (auto status = CheckTokenIds(config, ids); !status.ok())
      return std::move(status).error().WithPath(prompts.source);
    texts.push_back(std::move(ids));
  }
  return CutPrompts(texts, options, prompts.source);
}

// From checked-open models to figures; a step each.
class Comparing {
 public:
  Comparing(const DiffOptions& options, Listener& listener)
      : options_(options), listener_(listener), pool_(options.threads) {}

  Result<DiffResult> Run() {
    result_.run = options_.run;
    if (options_.run) {
      SLIM_TRY(Open());
      SLIM_TRY(Walk());
      if (result_.non_finite) return std::move(result_);
    }
    if (options_.weights) SLIM_TRY(Weights());
    result_.thresholds = CheckThresholds(options_.thresholds, result_);
    return std::move(result_);
  }

 private:
  Status Open() {
    SLIM_ASSIGN(first_, OpenModelAt(options_.first));
    SLIM_ASSIGN(second_, OpenModelAt(options_.second));
    for (const auto* model : {&first_, &second_}) {
      const Checkpoint& checkpoint = (*model)->checkpoint;
      for (const std::string& note : checkpoint.made_notes())
        listener_.Note(fmt::format("{}: {}", Escape(checkpoint.path()), note));
    }
    SLIM_TRY(CheckSameVocabularySize(*first_, *second_));
    SLIM_ASSIGN(tokenizer_, SharedTokenizer::Load(first_->checkpoint, first_->config,
                                                  second_->checkpoint, second_->config, listener_));
    SLIM_ASSIGN(result_.first, Describe(*first_));
    SLIM_ASSIGN(result_.second, Describe(*second_));
    for (const Threshold& threshold : options_.thresholds) {
      if (threshold.kind->measured == Measured::kRouting &&
          !RoutingComparison::Comparable(first_->config, second_->config))
        return UsageError(fmt::format("--{} needs models with experts", threshold.kind->flag));
    }
    SLIM_ASSIGN(result_.window_tokens, WindowLength(options_, *first_, *second_, listener_));
    SLIM_ASSIGN(const Prompts prompts, FindPrompts(options_, listener_));
    result_.prompts = prompts.source;
    SLIM_ASSIGN(windows_,
                MakeWindows(*tokenizer_, prompts, {result_.window_tokens, options_.max_windows},
                            first_->config));
    return {};
  }

  WalkOptions Walking(bool layers) const {
    const Phase phase = options_.phase == PhaseChoice::kDecode ? Phase::kDecode : Phase::kPrefill;
    return {options_.backend, options_.float_inputs, phase, layers, options_.max_memory};
  }

  Status Walk() {
    PairWalk walk(*first_, *second_, Walking(options_.layers), pool_, listener_);
    auto status = walk.Run(windows_);
    if (!status.ok() && options_.layers && options_.best_effort && IsAboutLayers(status.error())) {
      listener_.Warning("no errors of layers: " + status.error().ToString());
      PairWalk again(*first_, *second_, Walking(false), pool_, listener_);
      SLIM_TRY(again.Run(windows_));
      return TakeLogits(again);
    }
    SLIM_TRY(status);
    SLIM_TRY(TakeLogits(walk));
    if (!options_.layers || result_.non_finite) return {};
    result_.layers = walk.probe().Errors();
    SLIM_ASSIGN(result_.ranked, RankGroups(*first_, *second_, *result_.layers));
    if (options_.bisect > 0) SLIM_TRY(TryGroups(walk));
    return {};
  }

  static bool IsAboutLayers(const Error& error) {
    return error.rule == "DIFF-basis" || error.rule == "DIFF-architecture";
  }

  Status TakeLogits(const PairWalk& walk) {
    result_.non_finite = walk.non_finite();
    if (result_.non_finite) return {};
    result_.routing = walk.routing();
    result_.summary = walk.statistics().Summarize();
    result_.divergences = walk.statistics().Divergences();
    SLIM_TRY(TakeWorst(walk.statistics()));
    if (options_.greedy) SLIM_TRY(Greedy());
    return {};
  }

  Status TakeWorst(const LogitStatistics& statistics) {
    constexpr uint64_t kTokensBefore = 16;
    for (const WorstPosition& at : statistics.Worst(options_.worst_tokens)) {
      const std::vector<int32_t>& window = windows_[at.place.window - 1];
      const uint64_t end = at.place.position;
      const uint64_t begin = end > kTokensBefore ? end - kTokensBefore : 0;
      const std::span<const int32_t> tokens(window);
      WorstToken worst{at, {}, {}, {}, {}};
      SLIM_ASSIGN(worst.before, tokenizer_->Decode(tokens.subspan(begin, end - begin)));
      if (at.scored) {
        SLIM_ASSIGN(worst.next, tokenizer_->Decode(tokens.subspan(end, 1)));
      }
      SLIM_ASSIGN(worst.first, tokenizer_->Decode({&at.metrics.first_top, 1}));
      SLIM_ASSIGN(worst.second, tokenizer_->Decode({&at.metrics.second_top, 1}));
      result_.worst.push_back(std::move(worst));
    }
    return {};
  }

  Status TryGroups(const PairWalk& walk) {
    if (result_.ranked.empty()) {
      listener_.Note("no quantized layer that could be kept in float: nothing to try");
      return {};
    }
    BisectOptions bisect;
    bisect.groups = options_.bisect;
    bisect.walk = Walking(true);
    for (const Threshold& threshold : options_.thresholds) {
      if (threshold.kind->flag == "max-kl") bisect.max_kl = threshold.limit;
    }
    SLIM_ASSIGN(result_.bisect, Bisect(*first_, *second_, result_.ranked, walk.probe(), windows_,
                                       bisect, pool_, listener_));
    return {};
  }

  Result<GreedyTexts> GreedyOf(const OpenModel& model, Side side, const GreedyOptions& greedy) {
    uint64_t bytes = EndsBytes(model, options_.backend);
    for (uint64_t layer = 0; layer < model.config.num_layers; ++layer)
      bytes += BlockBytes(model, layer, options_.backend);
    const uint64_t limit = options_.max_memory != 0 ? options_.max_memory : AvailableMemory();
    const bool streamed = limit != 0 && bytes > limit;
    if (streamed)
      listener_.Note(
          fmt::format("{} does not fit the memory: its greedy text reads the blocks "
                      "again for every token",
                      Escape(model.checkpoint.path())));
    auto loaded = Model::Load(model.checkpoint, options_.backend, pool_, listener_,
                              streamed ? BlockStorage::kStreamed : BlockStorage::kResident);
    if (!loaded.ok()) return WithPathOf(std::move(loaded).error(), model);
    loaded->set_phase(options_.phase);
    loaded->set_float_inputs(options_.float_inputs);
    return ContinueGreedily(*loaded, side, windows_,
                            std::min(first_->config.max_position, second_->config.max_position),
                            greedy);
  }

  // One model in memory at a time.
  Status Greedy() {
    GreedyOptions greedy;
    greedy.stop_tokens = tokenizer_->stop_tokens();
    SLIM_ASSIGN(GreedyTexts first, GreedyOf(*first_, Side::kFirst, greedy));
    result_.non_finite = first.non_finite;
    if (result_.non_finite) return {};
    SLIM_ASSIGN(GreedyTexts second, GreedyOf(*second_, Side::kSecond, greedy));
    result_.non_finite = second.non_finite;
    if (result_.non_finite) return {};
    for (const GreedyComparison& comparison :
         CompareTexts(windows_, std::move(first), std::move(second), greedy)) {
      GreedyText text;
      text.prompt_tokens = comparison.prompt_tokens;
      text.first_tokens = comparison.first.size();
      text.second_tokens = comparison.second.size();
      SLIM_ASSIGN(text.first, tokenizer_->Decode(comparison.first));
      SLIM_ASSIGN(text.second, tokenizer_->Decode(comparison.second));
      text.first_difference = comparison.first_difference;
      result_.greedy.push_back(std::move(text));
    }
    return {};
  }

  Status Weights() {
    auto weights = CompareWeights(options_.first, options_.second, pool_, listener_);
    if (weights.ok()) {
      result_.weights = std::move(weights).value();
      if (!options_.run) DescribeByWeights();
      return {};
    }
    if (!options_.best_effort || weights.error().code != ErrorCode::kInput)
      return std::move(weights).error();
    listener_.Warning("no errors of weights: " + weights.error().ToString());
    return {};
  }

  void DescribeByWeights() {
    const WeightReport& weights = *result_.weights;
    result_.first = {weights.first, weights.first_dialect, {}};
    result_.second = {weights.second, weights.second_dialect, {}};
    for (const WeightErrors& tensor : weights.tensors) {
      std::vector<std::string>& types = result_.second.types;
      const std::string_view label = SchemeLabel(tensor.type);
      if (std::find(types.begin(), types.end(), label) == types.end()) types.emplace_back(label);
    }
  }

  const DiffOptions& options_;
  Listener& listener_;
  ThreadPool pool_;
  std::optional<OpenModel> first_;
  std::optional<OpenModel> second_;
  std::optional<SharedTokenizer> tokenizer_;
  std::vector<std::vector<int32_t>> windows_;
  DiffResult result_;
};

}  // namespace

bool DiffResult::passed() const {
  return !non_finite && std::all_of(thresholds.begin(), thresholds.end(),
                                    [](const ThresholdResult& result) { return result.met; });
}

Result<DiffResult> CompareCheckpoints(const DiffOptions& options, Listener& listener) {
  return Comparing(options, listener).Run();
}

Result<DiffResult> CompareLogitFiles(const DiffOptions& options, const SavedLogits& first,
                                     const SavedLogits& second, Listener& listener) {
  ThreadPool pool(options.threads);
  LogitComparison comparison(first.logits.shape[1], 1, pool);
  SLIM_TRY(CompareSavedLogits(options.first, options.second, first, second, comparison, listener));
  DiffResult result;
  result.first = {options.first, "logits", {}};
  result.second = {options.second, "logits", {}};
  result.prompts = options.first;
  result.window_tokens = first.ids.size();
  result.non_finite = comparison.non_finite();
  if (result.non_finite) return result;
  result.summary = comparison.statistics().Summarize();
  result.divergences = comparison.statistics().Divergences();
  result.thresholds = CheckThresholds(options.thresholds, result);
  return result;
}

}  // namespace slim
