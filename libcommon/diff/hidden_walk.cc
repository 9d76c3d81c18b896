#include "diff/hidden_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <deque>
#include <utility>

#include "base/text.h"
#include "kernels/reduce.h"
#include "model/modules.h"
#include "os/interrupt.h"
#include "run/kv_cache.h"
#include "run/sequence_slice.h"

namespace slim {

HiddenWalk::HiddenWalk(const OpenModel& model, Side side,
                       std::span<const std::vector<int32_t>> windows)
    : model_(&model), side_(side), windows_(windows) {
  uint64_t tokens = 0;
  uint64_t longest = 0;
  for (const auto& window : windows) {
    begins_.push_back(tokens);
    tokens += window.size();
    longest = std::max<uint64_t>(longest, window.size());
  }
  begins_.push_back(tokens);
  hidden_.resize(tokens * model.config.hidden_size);
  if (model.config.rope.kind != RopeKind::kDynamic) {
    ropes_.emplace_back(model.config, longest);
    return;
  }
  // Its rows depend on the length of the sequence.
  for (const auto& window : windows) ropes_.emplace_back(model.config, window.size());
}

Result<HiddenWalk> HiddenWalk::Begin(const OpenModel& model, Side side,
                                     std::span<const std::vector<int32_t>> windows) {
  HiddenWalk walk(model, side, windows);
  for (size_t i = 0; i < windows.size(); ++i) {
    if (auto status =
            EmbedTokens(model.checkpoint, model.config, windows[i], walk.hidden(i).data());
        !status.ok())
      return WithPathOf(std::move(status).error(), model);
  }
  return walk;
}

std::span<float> HiddenWalk::hidden(uint64_t window) {
  const uint64_t width = model_->config.hidden_size;
  return {hidden_.data() + begins_[window] * width,
          (begins_[window + 1] - begins_[window]) * width};
}

std::span<const float> HiddenWalk::hidden(uint64_t window) const {
  return const_cast<HiddenWalk*>(this)->hidden(window);
}

// Attention and MLP of one piece after the other; short windows share a call.
Status HiddenWalk::ForwardPieces(const DecoderBlock& block, const BlockOptions& options,
                                 ThreadPool& pool) {
  const uint64_t width = model_->config.hidden_size;
  uint64_t window = 0;
  uint64_t position = 0;  // in it
  uint64_t row = 0;       // in hidden_
  std::deque<KvCacheLayer> caches;
  while (window < windows_.size()) {
    SLIM_TRY(CheckInterrupt());
    std::vector<SequenceSlice> slices;
    // Of the windows of earlier calls only one that goes on is needed.
    while (caches.size() > (position > 0 ? 1 : 0)) caches.pop_front();
    uint64_t total = 0;
    while (window < windows_.size() && total < kWalkChunk) {
      if (position == 0) caches.emplace_back(model_->config);
      const uint64_t length = windows_[window].size();
      const uint64_t tokens = std::min(kWalkChunk - total, length - position);
      slices.push_back({tokens, position, &rope(window), &caches.back()});
      total += tokens;
      position += tokens;
      if (position < length) break;
      ++window;
      position = 0;
    }
    float* rows = hidden_.data() + row * width;
    block.ForwardAttention(rows, slices, options, pool);
    if (!block.has_experts()) SLIM_TRY(block.ForwardMlp(rows, total, options, pool));
    row += total;
  }
  return {};
}

Status HiddenWalk::Forward(const DecoderBlock& block, const BlockOptions& options, ThreadPool& pool,
                           uint64_t first_window, std::optional<NonFinite>& found) {
  BlockOptions own = options;
  own.scratch = &scratch_;
  SLIM_TRY(ForwardPieces(block, own, pool));
  if (block.has_experts()) {
    if (auto status = block.ForwardMlp(hidden_.data(), begins_.back(), own, pool); !status.ok())
      return WithPathOf(std::move(status).error(), *model_);
  }
  CheckFinite(block.layer(), first_window, found);
  return {};
}

void HiddenWalk::CheckFinite(uint64_t layer, uint64_t first_window,
                             std::optional<NonFinite>& found) const {
  for (uint64_t i = 0; i < windows_.size() && !found; ++i) {
    const std::span<const float> rows = hidden(i);
    if (AllFinite(rows.data(), rows.size())) continue;
    found = NonFinite{side_, fmt::format("window {}", first_window + i),
                      fmt::format("the output of {} has a NaN or an infinity",
                                  Quote(BlockPrefix(model_->config, layer)))};
  }
}

void WalkedLogits::BeginWindow() {
  ++window_;
  position_ = 0;
}

Result<std::span<const float>> WalkedLogits::Next(std::span<const int32_t> tokens) {
  assert(window_ > 0 && window_ <= walk_->windows());
  const uint64_t width = walk_->model().config.hidden_size;
  const std::span<const float> rows = walk_->hidden(window_ - 1);
  assert((position_ + tokens.size()) * width <= rows.size());
  logits_.resize(tokens.size() * vocabulary());
  head_->Logits(rows.data() + position_ * width, tokens.size(), logits_.data(), options_, *pool_);
  position_ += tokens.size();
  return std::span<const float>(logits_);
}

}  // namespace slim
