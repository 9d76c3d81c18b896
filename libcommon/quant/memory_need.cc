#include "quant/memory_need.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "model/modules.h"
#include "quant/advice.h"
#include "quant/flex_smooth.h"
#include "quant/second_moments.h"
#include "quant/stages.h"

namespace slim {
namespace {

constexpr uint64_t kProgram = 24ULL << 20;  // code, buffers of readers and writers, tokenizer
constexpr uint64_t kTensorEntry = 600;      // of every tensor: names, places, digests
constexpr uint64_t kFloatBytes = sizeof(float);

LinearSettings SettingsOf(const LinearPlan& linear) {
  return {linear.scheme, linear.activation, linear.weight};
}

// Linears that smoothing or rotation changes: in float32, unless compute model keeps the dtype.
std::set<std::string, std::less<>> ChangedLinears(const QuantPlan& plan) {
  std::set<std::string, std::less<>> changed;
  for (const std::vector<PlannedPair>& pairs : plan.smoothing) {
    for (const PlannedPair& pair : pairs) {
      changed.insert(pair.pairing.targets.begin(), pair.pairing.targets.end());
      if (pair.pairing.kind != SmoothPair::kNormLinear) changed.insert(pair.pairing.source);
    }
  }
  return changed;
}

class Need {
 public:
  Need(const QuantPlan& plan, const QuantOptions& options, ExpertStorage experts)
      : plan_(plan), options_(options), experts_(experts), changed_(ChangedLinears(plan)) {}

  uint64_t Run(const std::vector<TextSize>& texts, int ranks) {
    for (const LinearPlan& linear : plan_.linears) AddLinear(linear);
    uint64_t block = 0;
    for (const auto& [name, bytes] : blocks_) block = std::max(block, bytes);
    uint64_t need = kProgram + plan_.write.tensors.size() * kTensorEntry;
    if (!plan_.needs_calibration && !plan_.rotation) return need + behind_ + largest_;
    uint64_t moments = 0;
    for (uint64_t layer = 0; layer < plan_.config.num_layers; ++layer)
      moments = std::max(moments, MomentsOf(layer, texts));
    // Smoothing comes before anything of the block is quantized and written.
    need += std::max(
        {block + Searched(texts), block + moments + largest_change_ + behind_, largest_ + behind_});
    if (plan_.rotation)
      need += 2 * plan_.config.hidden_size * plan_.config.hidden_size * kFloatBytes;
    return need + Activations(texts, ranks);
  }

 private:
  void AddLinear(const LinearPlan& linear) {
    const uint64_t elements = linear.n * linear.k;
    const bool quantized = linear.scheme != Scheme::kFloat;
    const bool as_model = options_.recipe.compute == ComputeMode::kModel;
    const bool changed = plan_.rotation || changed_.contains(linear.name);
    if (quantized || changed) behind_ = std::max(behind_, linear.bytes_after);
    const uint64_t working = changed && !as_model ? elements * kFloatBytes : linear.bytes_before;
    // Codes, one a byte, and their packed form where there is one, with the scales.
    const uint64_t packed_from = linear.bytes_after < elements ? elements : 0;
    const uint64_t made = quantized ? packed_from + linear.bytes_after : 0;
    const size_t prefix = (plan_.config.prefix + ".layers.").size();
    const bool in_block = !plan_.by_name && linear.name.size() > prefix &&
                          linear.name.starts_with(plan_.config.prefix + ".layers.");
    if (!in_block) {
      // A float one travels a few rows at a time.
      if (!quantized) return;
      const uint64_t rotated = plan_.rotation ? elements * kFloatBytes : 0;
      largest_ = std::max(largest_, linear.bytes_before + rotated + made);
      return;
    }
    const uint64_t change = std::max(changed ? linear.bytes_before : 0, made);
    uint64_t& block =
        blocks_[std::string_view(linear.name).substr(0, linear.name.find('.', prefix))];
    if (experts_ == ExpertStorage::kStreamed &&
        linear.name.find(".experts.") != std::string::npos) {
      // Three of an expert are read at a time, one is changed; of a change its factors stay.
      largest_change_ = std::max(largest_change_, 3 * linear.bytes_before + working + change);
      block += changed ? linear.k * kFloatBytes : 0;
      return;
    }
    block += working;
    largest_change_ = std::max(largest_change_, change);
    // Then the float weight is kept beside what its codes stand for, and the codes.
    if (quantized && options_.recipe.propagate == Propagation::kQuantized)
      block += elements * kFloatBytes + linear.bytes_after;
  }

  // Of gptq and float_sparse, one matrix an input with the tokens that wait to be added, and what
  // the widest needs on the way to codes: a few rows of the weight, of gptq where linears share an
  // input its factor, which else takes the matrix's place, of float_sparse factor and inverse.
  uint64_t MomentsOf(uint64_t layer, const std::vector<TextSize>& texts) const {
    constexpr uint64_t kRowsAtATime = 512;
    uint64_t waiting = 0;
    for (const TextSize& text : texts)
      waiting = std::max(waiting, std::min(text.tokens, SecondMoments::kTokensAtATime));
    uint64_t sum = 0;
    uint64_t most = 0;
    for (const SharedInput& input : SharedInputs(plan_.config, layer)) {
      std::set<std::string_view> parents;
      uint64_t sharing = 0;
      for (const std::string& name : input.linears) {
        const LinearPlan* linear = plan_.Find(name);
        const bool wanted = linear != nullptr && linear->scheme != Scheme::kFloat &&
                            NeedsMomentMatrix(SettingsOf(*linear));
        if (!wanted) continue;
        const uint64_t k = linear->k;
        const uint64_t factors = linear->scheme == Scheme::kW16A16S ? 3 : ++sharing > 1 ? 1 : 0;
        const uint64_t rows = 3 * std::min(kRowsAtATime, linear->n) + kRowsAtATime / 4;
        most = std::max(most, k * (factors * k + rows) * kFloatBytes);
        const std::string_view parent = std::string_view(name).substr(0, name.rfind('.'));
        if (parents.insert(parent).second) sum += k * (k + waiting) * kFloatBytes;
      }
    }
    return sum + most;
  }

  std::set<size_t> SearchingSteps() const {
    std::set<size_t> searching;
    for (const PassStages& pass : PassesOf(options_.recipe)) {
      for (const Stage& stage : pass.stages) {
        for (const StageStep& item : stage.steps) {
          const auto* smooth = std::get_if<SmoothStep>(item.step);
          if (smooth != nullptr && SearchesTokens(*smooth)) searching.insert(item.index);
        }
      }
    }
    return searching;
  }

  uint64_t KeptTokens(const std::vector<TextSize>& texts) const {
    uint64_t kept = 0;
    for (const TextSize& text : texts) {
      const uint64_t stride = (text.tokens + kSearchTokens - 1) / kSearchTokens;
      const bool all = options_.recipe.compute == ComputeMode::kModel || stride <= 1;
      kept = std::max(
          kept, all ? text.tokens : std::min(text.tokens, text.tokens / stride + text.samples));
    }
    return kept;
  }

  // Inputs that smoothing searches over, as floats and as codes; of the pair with the most of it
  // its products, and of its widest linear codes and a tile of sums. What is searched for the first
  // time is not yet in float32.
  uint64_t Searched(const std::vector<TextSize>& texts) const {
    constexpr uint64_t kTokensPerTile = 256;
    const std::set<size_t> searching = SearchingSteps();
    const uint64_t kept = KeptTokens(texts);
    const uint64_t tile = std::min(kept, kTokensPerTile);
    uint64_t most = 0;
    for (const std::vector<PlannedPair>& pairs : plan_.smoothing) {
      uint64_t inputs = 0;
      uint64_t widest = 0;
      for (const PlannedPair& pair : pairs) {
        if (!searching.contains(pair.step)) continue;
        uint64_t products = 0;
        uint64_t linear_need = 0;
        for (const std::string& target : pair.pairing.targets) {
          const LinearPlan& linear = *plan_.Find(target);
          products += linear.n;
          linear_need = std::max(linear_need, linear.n * (linear.k + tile * kFloatBytes));
        }
        const uint64_t k = plan_.Find(pair.pairing.targets.front())->k;
        inputs += k;
        const uint64_t needed = kept * (products * kFloatBytes + k) + linear_need;
        widest = std::max(widest, needed - std::min(needed, StillNarrow(pair, pairs)));
      }
      most = std::max(most, kept * inputs * kFloatBytes + widest);
    }
    return most;
  }

  // What the targets of `pair` grow by when they are scaled, in a run where nothing scales them
  // before.
  uint64_t StillNarrow(const PlannedPair& pair, const std::vector<PlannedPair>& pairs) const {
    const Recipe& recipe = options_.recipe;
    const bool one_step = std::ranges::all_of(
        pairs, [&](const PlannedPair& other) { return other.step == pair.step; });
    if (!one_step || recipe.compute == ComputeMode::kModel || plan_.rotation ||
        experts_ == ExpertStorage::kStreamed || !recipe.prior.empty() ||
        !StepsOf<KvSmoothStep>(recipe.process).empty())
      return 0;
    uint64_t narrow = 0;
    for (const std::string& target : pair.pairing.targets) {
      const LinearPlan& linear = *plan_.Find(target);
      const uint64_t wide = linear.n * linear.k * kFloatBytes;
      narrow += wide - std::min(wide, linear.bytes_before);
    }
    return narrow;
  }

  uint64_t Activations(const std::vector<TextSize>& texts, int ranks) const {
    const ModelConfig& config = plan_.config;
    // Of one sample: normed, projected, queries, attended, keys and values with their cache, gate
    // and up; and a copy of its hidden states.
    const uint64_t wide = 3 * config.hidden_size + 2 * config.num_heads * config.head_dim +
                          4 * config.num_kv_heads * config.head_dim +
                          3 * std::max(config.intermediate_size, config.hidden_size);
    uint64_t held = 0;
    uint64_t longest = 0;
    for (const TextSize& text : texts) {
      held += text.tokens * config.hidden_size * kFloatBytes;
      longest = std::max(longest, text.longest);
    }
    uint64_t sample = longest * wide * kFloatBytes;
    // A rank tells the others what its sample was.
    if (ranks > 1) sample += 4 * longest * wide * kFloatBytes;
    return held + sample;
  }

  const QuantPlan& plan_;
  const QuantOptions& options_;
  const ExpertStorage experts_;
  const std::set<std::string, std::less<>> changed_;
  std::map<std::string_view, uint64_t> blocks_;
  uint64_t largest_ = 0;         // linear outside the blocks
  uint64_t behind_ = 0;          // what is being written while the next is made
  uint64_t largest_change_ = 0;  // what lies beside a block while one linear of it is worked on
};

}  // namespace

uint64_t MemoryNeed(const QuantPlan& plan, const QuantOptions& options,
                    const std::vector<TextSize>& texts, ExpertStorage experts, int ranks) {
  return Need(plan, options, experts).Run(texts, ranks);
}

bool CanStreamExperts(const QuantPlan& plan, const QuantOptions& options) {
  if (plan.by_name || !plan.config.moe || plan.rotation || !plan.needs_calibration) return false;
  if (options.recipe.propagate != Propagation::kFloat || !options.recipe.prior.empty())
    return false;
  const std::vector<PassStages> passes = PassesOf(options.recipe);
  bool smooths = false;
  for (const Stage& stage : passes.front().stages) {
    for (const StageStep& item : stage.steps) {
      const auto* smooth = std::get_if<SmoothStep>(item.step);
      if (smooth == nullptr) continue;
      // A search behind another smoothing needs a forward pass that sees the first.
      if (smooths && SearchesTokens(*smooth)) return false;
      smooths = true;
    }
  }
  return !smooths || std::none_of(plan.linears.begin(), plan.linears.end(), [](const auto& linear) {
    const LinearSettings settings = SettingsOf(linear);
    return linear.scheme != Scheme::kFloat &&
           (NeedsMoments(settings) || (NeedsRange(settings) && NeedsValues(linear.activation)));
  });
}

Result<ExpertStorage> ChooseStorage(const QuantPlan& plan, const QuantOptions& options,
                                    const std::vector<TextSize>& texts, uint64_t free, int ranks) {
  const uint64_t limit = options.max_memory > 0 ? options.max_memory : free;
  const uint64_t held = MemoryNeed(plan, options, texts, ExpertStorage::kResident, ranks);
  if (limit == 0 || held <= limit) return ExpertStorage::kResident;
  uint64_t needed = held;
  if (CanStreamExperts(plan, options)) {
    needed = MemoryNeed(plan, options, texts, ExpertStorage::kStreamed, ranks);
    if (needed <= limit) return ExpertStorage::kStreamed;
  }
  const std::string advice = AdviceLine(AdviceTopic::kMemory, SituationOf(plan, options));
  if (options.max_memory > 0) {
    return UsageError(
        fmt::format("--max-memory is {}, this run needs {}", HumanSize(limit), HumanSize(needed)),
        advice);
  }
  return UsageError(fmt::format("this run needs {} of memory, the machine has {} free",
                                HumanSize(needed), HumanSize(limit)),
                    advice + (advice.empty() ? "" : "; ") +
                        "--max-memory SIZE says how much may be used in spite of that");
}

}  // namespace slim
