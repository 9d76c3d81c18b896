// Both checkpoints over the same windows of tokens in lock step, block by block, in one pass: of
// the weights one block of each is in memory, of the hidden states all positions, of the logits a
// piece. Where memory is limited the windows go in batches, and each batch reads the blocks again.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "diff/hidden_walk.h"
#include "diff/layer_errors.h"
#include "diff/lock_step.h"
#include "diff/routing.h"
#include "diff/subject.h"

namespace slim {

struct WalkOptions {
  Backend backend = Backend::kFast;
  FloatInputs float_inputs = FloatInputs::kFp32;
  Phase phase = Phase::kPrefill;
  bool layers = false;      // errors of layers, too
  uint64_t max_memory = 0;  // bytes; 0: what the machine has
};

BlockOptions BlockOptionsOf(const WalkOptions& options);

// Bytes a walk over windows of `tokens` tokens in all needs.
uint64_t WalkBytes(const OpenModel& first, const OpenModel& second, const WalkOptions& options,
                   uint64_t tokens);
// How many of the windows fit at once, in order: their counts add up to the number of windows. A
// usage error when not even one window fits --max-memory, DIFF-memory when it does not fit the
// machine.
Result<std::vector<uint64_t>> WindowBatches(const OpenModel& first, const OpenModel& second,
                                            const WalkOptions& options,
                                            std::span<const std::vector<int32_t>> windows);

class PairWalk {
 public:
  // All must outlive it.
  PairWalk(const OpenModel& first, const OpenModel& second, const WalkOptions& options,
           ThreadPool& pool, Listener& listener);

  // Errors: those of WindowBatches, of loading, and DIFF-architecture, DIFF-basis with layers.
  Status Run(std::span<const std::vector<int32_t>> windows);

  // Set when a NaN or an infinity ended it; nothing else counts then.
  const std::optional<NonFinite>& non_finite() const { return non_finite_; }
  const LogitStatistics& statistics() const { return comparison_.statistics(); }
  std::optional<RoutingSummary> routing() const;  // of models with experts
  const LayerProbe& probe() const { return probe_; }

 private:
  Status RunBatch(std::span<const std::vector<int32_t>> windows, uint64_t first_window,
                  uint64_t total);
  Status Blocks(HiddenWalk& first, HiddenWalk& second, uint64_t first_window);
  Status LoadHeads();
  Status ProbeBlock(DecoderBlock& first_block, DecoderBlock& second_block, HiddenWalk& first,
                    HiddenWalk& second, uint64_t first_window);
  BlockOptions OptionsOf(Side side);

  const OpenModel* first_;
  const OpenModel* second_;
  WalkOptions options_;
  ThreadPool* pool_;
  Listener* listener_;
  bool routed_;
  RoutingComparison routing_;
  LogitComparison comparison_;
  LayerProbe probe_;
  std::optional<OutputHead> first_head_;
  std::optional<OutputHead> second_head_;
  std::optional<NonFinite> non_finite_;
};

// A block or a head of `model`; errors carry its path.
Result<DecoderBlock> LoadBlock(const OpenModel& model, uint64_t layer, Backend backend,
                               ExpertStorage storage);
Result<OutputHead> LoadHead(const OpenModel& model, Backend backend);

}  // namespace slim
