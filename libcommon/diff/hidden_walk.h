// One model over all windows of tokens at once, a decoder block at a time: the hidden states of
// every position stay in memory, of the weights one block. A window is a sequence of its own.
// Knows no second model.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "diff/lock_step.h"
#include "diff/subject.h"
#include "parallel/thread_pool.h"
#include "run/block.h"
#include "run/embedding.h"
#include "run/rope.h"

namespace slim {

// Tokens that go through a block together.
inline constexpr uint64_t kWalkChunk = 512;

class HiddenWalk {
 public:
  // The embedded tokens. `model` and `windows` must outlive the walk. Errors: those of EmbedTokens.
  static Result<HiddenWalk> Begin(const OpenModel& model, Side side,
                                  std::span<const std::vector<int32_t>> windows);

  const OpenModel& model() const { return *model_; }
  Side side() const { return side_; }
  uint64_t windows() const { return windows_.size(); }
  // [tokens of the window, hidden_size].
  std::span<float> hidden(uint64_t window);
  std::span<const float> hidden(uint64_t window) const;
  // Rows for every position of the window.
  const RopeTable& rope(uint64_t window) const { return ropes_[ropes_.size() == 1 ? 0 : window]; }

  // The next block of all windows. `found` is set, and the walk of no further use, when the output
  // has a NaN or an infinity; windows count from `first_window` there. With streamed experts each
  // is read once for all tokens.
  Status Forward(const DecoderBlock& block, const BlockOptions& options, ThreadPool& pool,
                 uint64_t first_window, std::optional<NonFinite>& found);
  // The check alone, for callers that went through a block themselves.
  void CheckFinite(uint64_t layer, uint64_t first_window, std::optional<NonFinite>& found) const;

 private:
  HiddenWalk(const OpenModel& model, Side side, std::span<const std::vector<int32_t>> windows);
  Status ForwardPieces(const DecoderBlock& block, const BlockOptions& options, ThreadPool& pool);

  const OpenModel* model_;
  Side side_;
  std::span<const std::vector<int32_t>> windows_;
  std::vector<uint64_t> begins_;  // of each window in hidden_, in tokens; one more at the end
  std::vector<float> hidden_;     // [tokens, hidden_size]
  std::vector<RopeTable> ropes_;  // one for all, or with dynamic scaling one a window
  BlockScratch scratch_;
};

// Logits of a walk that is through all blocks.
class WalkedLogits : public LogitSource {
 public:
  // All must outlive it.
  WalkedLogits(const HiddenWalk& walk, const OutputHead& head, const BlockOptions& options,
               ThreadPool& pool)
      : walk_(&walk), head_(&head), options_(options), pool_(&pool) {}

  uint64_t vocabulary() const override { return walk_->model().config.vocab_size; }
  void BeginWindow() override;
  Result<std::span<const float>> Next(std::span<const int32_t> tokens) override;

 private:
  const HiddenWalk* walk_;
  const OutputHead* head_;
  BlockOptions options_;
  ThreadPool* pool_;
  uint64_t window_ = 0;  // the current one from 1; 0 before the first
  uint64_t position_ = 0;
  std::vector<float> logits_;
};

}  // namespace slim
