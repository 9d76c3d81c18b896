#include "diff/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/text.h"
#include "diff/greedy.h"
#include "diff/prompts.h"
#include "diff/shared_tokenizer.h"
#include "model/modules.h"
#include "os/install.h"
#include "run/embedding.h"
#include "run/model.h"

namespace slim {
namespace {

constexpr std::string_view kShippedPrompts = "calibration/default.jsonl";

struct OpenCheckpoint {
  Checkpoint checkpoint;
  ModelConfig config;
};

Result<OpenCheckpoint> OpenModel(const std::string& path) {
  SLIM_ASSIGN(Checkpoint checkpoint, Checkpoint::OpenFloat(path));
  SLIM_ASSIGN(ModelConfig config, ReadModelConfig(checkpoint));
  return OpenCheckpoint{std::move(checkpoint), std::move(config)};
}

Status CheckSameVocabularySize(const OpenCheckpoint& first, const OpenCheckpoint& second) {
  if (first.config.vocab_size == second.config.vocab_size) return {};
  return InputError(
             "DIFF-vocabulary",
             fmt::format("has a vocabulary of {} tokens, {} one of {}", second.config.vocab_size,
                         Escape(first.checkpoint.path()), first.config.vocab_size),
             "compare checkpoints of one model")
      .WithPath(second.checkpoint.path());
}

Result<DiffSubject> Describe(const OpenCheckpoint& model) {
  DiffSubject subject;
  subject.path = model.checkpoint.path();
  subject.dialect = model.checkpoint.traits().name;
  std::map<std::string_view, uint64_t> counts;
  for (uint64_t layer = 0; layer < model.config.num_layers; ++layer) {
    for (const Module& module : BlockModules(model.config, layer)) {
      if (!module.IsLinear()) continue;
      SLIM_ASSIGN(const Scheme scheme, model.checkpoint.SchemeOf(module.name));
      ++counts[SchemeLabel(scheme)];
    }
  }
  for (const auto& [label, count] : counts) subject.types.emplace_back(label);
  std::stable_sort(
      subject.types.begin(), subject.types.end(),
      [&](const std::string& a, const std::string& b) { return counts.at(a) > counts.at(b); });
  return subject;
}

Result<uint64_t> WindowLength(const DiffOptions& options, const OpenCheckpoint& first,
                              const OpenCheckpoint& second, Listener& listener) {
  const OpenCheckpoint& shorter =
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

Result<Model> LoadModel(const OpenCheckpoint& model, const DiffOptions& options, ThreadPool& pool,
                        Listener& listener) {
  auto loaded = Model::Load(model.checkpoint, options.backend, pool, listener);
  if (!loaded.ok() && loaded.error().path.empty())
    return std::move(loaded).error().WithPath(model.checkpoint.path());
  return loaded;
}

Status AddGreedy(const Model& first, const Model& second, const SharedTokenizer& tokenizer,
                 std::span<const std::vector<int32_t>> windows, DiffResult& result) {
  GreedyOptions options;
  options.stop_tokens = tokenizer.stop_tokens();
  SLIM_ASSIGN(GreedyResult greedy, CompareGreedy(first, second, windows, options));
  result.non_finite = std::move(greedy.non_finite);
  for (const GreedyComparison& comparison : greedy.prompts) {
    GreedyText text;
    text.prompt_tokens = comparison.prompt_tokens;
    text.first_tokens = comparison.first.size();
    text.second_tokens = comparison.second.size();
    SLIM_ASSIGN(text.first, tokenizer.Decode(comparison.first));
    SLIM_ASSIGN(text.second, tokenizer.Decode(comparison.second));
    text.first_difference = comparison.first_difference;
    result.greedy.push_back(std::move(text));
  }
  return {};
}

}  // namespace

bool DiffResult::passed() const {
  return !non_finite && std::all_of(thresholds.begin(), thresholds.end(),
                                    [](const ThresholdResult& result) { return result.met; });
}

Result<DiffResult> CompareCheckpoints(const DiffOptions& options, Listener& listener) {
  SLIM_ASSIGN(const OpenCheckpoint first, OpenModel(options.first));
  SLIM_ASSIGN(const OpenCheckpoint second, OpenModel(options.second));
  SLIM_TRY(CheckSameVocabularySize(first, second));
  SLIM_ASSIGN(const SharedTokenizer tokenizer,
              SharedTokenizer::Load(first.checkpoint, first.config, second.checkpoint,
                                    second.config, listener));
  DiffResult result;
  SLIM_ASSIGN(result.first, Describe(first));
  SLIM_ASSIGN(result.second, Describe(second));
  SLIM_ASSIGN(result.window_tokens, WindowLength(options, first, second, listener));
  SLIM_ASSIGN(const Prompts prompts, FindPrompts(options, listener));
  result.prompts = prompts.source;
  SLIM_ASSIGN(
      const auto windows,
      MakeWindows(tokenizer, prompts, {result.window_tokens, options.max_windows}, first.config));

  ThreadPool pool(options.threads);
  SLIM_ASSIGN(Model first_model, LoadModel(first, options, pool, listener));
  SLIM_ASSIGN(Model second_model, LoadModel(second, options, pool, listener));
  RoutingComparison routing;
  const bool routed = RoutingComparison::Comparable(first.config, second.config);
  if (routed) {
    first_model.set_routing_tap(
        [&](uint64_t layer, const Routing& chosen) { routing.AddFirst(layer, chosen); });
    second_model.set_routing_tap(
        [&](uint64_t layer, const Routing& chosen) { routing.AddSecond(layer, chosen); });
  }
  ModelLogits first_logits(first_model);
  ModelLogits second_logits(second_model);
  SLIM_ASSIGN(LockStepResult lock_step,
              CompareLogits(first_logits, second_logits, windows, pool, listener));
  first_model.set_routing_tap({});
  second_model.set_routing_tap({});
  result.non_finite = std::move(lock_step.non_finite);
  if (result.non_finite) return result;
  if (routed) result.routing = routing.Summarize();
  result.summary = lock_step.summary;
  result.thresholds = CheckThresholds(options.thresholds, result.summary);
  if (options.greedy) SLIM_TRY(AddGreedy(first_model, second_model, tokenizer, windows, result));
  return result;
}

}  // namespace slim
