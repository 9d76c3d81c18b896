#include "diff/pair_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.h"
#include "os/interrupt.h"
#include "os/memory.h"

namespace slim {
namespace {

// Program, tokenizer, buffers of reading.
constexpr uint64_t kOverhead = 64ULL << 20;
// Activations of a chunk: the widest rows several times over.
constexpr uint64_t kWideRows = 6;

uint64_t LargestBlock(const OpenModel& model, Backend backend) {
  uint64_t largest = 0;
  for (uint64_t layer = 0; layer < model.config.num_layers; ++layer)
    largest = std::max(largest, BlockBytes(model, layer, backend));
  return largest;
}

uint64_t WidestRow(const ModelConfig& config) {
  return std::max(
      {config.intermediate_size, config.hidden_size, config.num_heads * config.head_dim});
}

// What load(side) gives for both models, side by side: a thread alone does not reach the speed of
// memory.
template <class T, class Load>
Result<std::pair<T, T>> LoadBoth(ThreadPool& pool, const Load& load) {
  std::optional<Result<T>> parts[2];
  pool.ParallelFor(2, 1, [&](uint64_t begin, uint64_t end) {
    for (; begin < end; ++begin) parts[begin] = load(begin == 0 ? Side::kFirst : Side::kSecond);
  });
  for (auto& part : parts) {
    if (!part->ok()) return std::move(*part).error();
  }
  return std::pair<T, T>(std::move(*parts[0]).value(), std::move(*parts[1]).value());
}

}  // namespace

BlockOptions BlockOptionsOf(const WalkOptions& options) {
  BlockOptions block;
  block.backend = options.backend;
  block.float_inputs = options.float_inputs;
  block.phase = options.phase;
  return block;
}

uint64_t WalkBytes(const OpenModel& first, const OpenModel& second, const WalkOptions& options,
                   uint64_t tokens) {
  uint64_t total = kOverhead;
  for (const OpenModel* model : {&first, &second}) {
    const ModelConfig& config = model->config;
    // The heads are loaded when the last block is gone.
    total += std::max(LargestBlock(*model, options.backend),
                      EndsBytes(*model, options.backend) + 128 * config.vocab_size * sizeof(float));
    total += tokens * config.hidden_size * sizeof(float);
    total += kWalkChunk * WidestRow(config) * sizeof(float) * kWideRows;
  }
  return total;
}

Result<std::vector<uint64_t>> WindowBatches(const OpenModel& first, const OpenModel& second,
                                            const WalkOptions& options,
                                            std::span<const std::vector<int32_t>> windows) {
  const uint64_t available = AvailableMemory();
  const uint64_t limit = options.max_memory != 0 ? options.max_memory : available;
  std::vector<uint64_t> batches;
  uint64_t tokens = 0;
  for (const std::vector<int32_t>& window : windows) {
    const uint64_t alone = WalkBytes(first, second, options, window.size());
    if (limit != 0 && alone > limit) {
      if (options.max_memory != 0)
        return UsageError(fmt::format("--max-memory is {}, one window of {} tokens needs {}",
                                      HumanSize(limit), window.size(), HumanSize(alone)));
      return InputError("DIFF-memory",
                        fmt::format("comparing needs {} of memory, {} are free", HumanSize(alone),
                                    HumanSize(limit)),
                        "shorter windows (--tokens) need less")
          .WithPath(first.checkpoint.path());
    }
    tokens += window.size();
    if (batches.empty() || (limit != 0 && WalkBytes(first, second, options, tokens) > limit)) {
      batches.push_back(0);
      tokens = window.size();
    }
    ++batches.back();
  }
  return batches;
}

Result<DecoderBlock> LoadBlock(const OpenModel& model, uint64_t layer, Backend backend,
                               ExpertStorage storage) {
  SLIM_TRY(CheckInterrupt());
  auto block = DecoderBlock::Load(model.checkpoint, model.config, layer, backend, storage);
  if (!block.ok()) return WithPathOf(std::move(block).error(), model);
  return block;
}

Result<OutputHead> LoadHead(const OpenModel& model, Backend backend) {
  SLIM_TRY(CheckInterrupt());
  auto head = OutputHead::Load(model.checkpoint, model.config, backend);
  if (!head.ok()) return WithPathOf(std::move(head).error(), model);
  return head;
}

PairWalk::PairWalk(const OpenModel& first, const OpenModel& second, const WalkOptions& options,
                   ThreadPool& pool, Listener& listener)
    : first_(&first),
      second_(&second),
      options_(options),
      pool_(&pool),
      listener_(&listener),
      routed_(RoutingComparison::Comparable(first.config, second.config)),
      comparison_(first.config.vocab_size, 1, pool),
      probe_(first, second, BlockOptionsOf(options), pool) {}

std::optional<RoutingSummary> PairWalk::routing() const {
  if (!routed_) return {};
  return routing_.Summarize();
}

BlockOptions PairWalk::OptionsOf(Side side) {
  BlockOptions options = BlockOptionsOf(options_);
  if (!routed_) return options;
  options.routing_tap = [this, side](uint64_t layer, const Routing& chosen) {
    side == Side::kFirst ? routing_.AddFirst(layer, chosen) : routing_.AddSecond(layer, chosen);
  };
  return options;
}

Status PairWalk::Run(std::span<const std::vector<int32_t>> windows) {
  if (options_.layers) SLIM_TRY(CheckSameBlocks(*first_, *second_));
  SLIM_ASSIGN(const std::vector<uint64_t> batches,
              WindowBatches(*first_, *second_, options_, windows));
  uint64_t begin = 0;
  for (const uint64_t count : batches) {
    SLIM_TRY(RunBatch(windows.subspan(begin, count), begin + 1, windows.size()));
    if (non_finite_) return {};
    begin += count;
  }
  return {};
}

Status PairWalk::RunBatch(std::span<const std::vector<int32_t>> windows, uint64_t first_window,
                          uint64_t total) {
  SLIM_ASSIGN(HiddenWalk first, HiddenWalk::Begin(*first_, Side::kFirst, windows));
  SLIM_ASSIGN(HiddenWalk second, HiddenWalk::Begin(*second_, Side::kSecond, windows));
  if (options_.layers) SLIM_TRY(probe_.CheckBasis(first, second));
  SLIM_TRY(Blocks(first, second, first_window));
  if (non_finite_) return {};
  SLIM_TRY(LoadHeads());
  if (options_.layers) probe_.ForwardHead(*first_head_, *second_head_, first, second);
  const BlockOptions options = BlockOptionsOf(options_);
  WalkedLogits first_logits(first, *first_head_, options, *pool_);
  WalkedLogits second_logits(second, *second_head_, options, *pool_);
  LogitSource* const others[] = {&second_logits};
  SLIM_TRY(comparison_.Add(first_logits, others, windows, total, *listener_));
  non_finite_ = comparison_.non_finite();
  return {};
}

Status PairWalk::LoadHeads() {
  if (first_head_) return {};
  const auto load = [this](Side side) {
    return LoadHead(side == Side::kFirst ? *first_ : *second_, options_.backend);
  };
  SLIM_ASSIGN(auto heads, LoadBoth<OutputHead>(*pool_, load));
  first_head_ = std::move(heads.first);
  second_head_ = std::move(heads.second);
  return {};
}

Status PairWalk::ProbeBlock(DecoderBlock& first_block, DecoderBlock& second_block,
                            HiddenWalk& first, HiddenWalk& second, uint64_t first_window) {
  SLIM_TRY(probe_.Forward(first_block, second_block, first, second, OptionsOf(Side::kFirst),
                          OptionsOf(Side::kSecond)));
  first.CheckFinite(first_block.layer(), first_window, non_finite_);
  second.CheckFinite(second_block.layer(), first_window, non_finite_);
  return {};
}

Status PairWalk::Blocks(HiddenWalk& first, HiddenWalk& second, uint64_t first_window) {
  const uint64_t layers = std::max(first_->config.num_layers, second_->config.num_layers);
  // Every linear is looked at by name: experts are all there.
  using Loaded = std::optional<DecoderBlock>;
  const ExpertStorage storage =
      options_.layers ? ExpertStorage::kResident : ExpertStorage::kStreamed;
  for (uint64_t layer = 0; layer < layers && !non_finite_; ++layer) {
    const auto load = [&](Side side) -> Result<Loaded> {
      const OpenModel& model = side == Side::kFirst ? *first_ : *second_;
      if (layer >= model.config.num_layers) return Loaded();
      SLIM_ASSIGN(DecoderBlock block, LoadBlock(model, layer, options_.backend, storage));
      return Loaded(std::move(block));
    };
    SLIM_ASSIGN(auto blocks, LoadBoth<Loaded>(*pool_, load));
    if (options_.layers) {
      SLIM_TRY(ProbeBlock(*blocks.first, *blocks.second, first, second, first_window));
    } else {
      const std::pair<HiddenWalk*, const Loaded*> walks[] = {{&first, &blocks.first},
                                                             {&second, &blocks.second}};
      for (const auto& [walk, block] : walks) {
        if (!*block || non_finite_) continue;
        SLIM_TRY(
            walk->Forward(**block, OptionsOf(walk->side()), *pool_, first_window, non_finite_));
      }
    }
    listener_->Progress("blocks", layer + 1, layers);
  }
  return {};
}

}  // namespace slim
