#include "diff/greedy.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <utility>

namespace slim {
namespace {

uint64_t Largest(std::span<const float> row) {
  return static_cast<uint64_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

// Prompts that are continued side by side, so that each step reads the weights once.
class Continuation {
 public:
  Continuation(const Model& model, Side side, uint64_t context, const GreedyOptions& options,
               GreedyTexts& result)
      : model_(model), side_(side), context_(context), options_(options), result_(result) {}

  Status Run(std::span<const std::vector<int32_t>> windows) {
    const size_t count = std::min<size_t>(options_.prompts, windows.size());
    result_.texts.resize(count);
    for (size_t i = 0; i < count && !result_.non_finite; ++i) {
      const std::span<const int32_t> window = windows[i];
      SLIM_TRY(Start(i, window.first(std::min<size_t>(options_.prompt_tokens, window.size()))));
    }
    while (!result_.non_finite && !running_.empty()) SLIM_TRY(Step());
    return {};
  }

 private:
  Status Start(size_t index, std::span<const int32_t> prompt) {
    Sequence& sequence = sequences_.emplace_back(model_.config());
    std::vector<float> logits;
    const Status status = model_.Prefill(prompt, sequence, LogitRows::kLast, logits);
    if (!status.ok()) return Fail(index, status.error());
    Take(index, Largest(logits));
    return {};
  }

  Status Step() {
    batch_.sequences.clear();
    batch_.tokens.clear();
    for (const size_t index : running_) {
      batch_.sequences.push_back(&sequences_[index]);
      batch_.tokens.push_back(result_.texts[index].back());
    }
    SLIM_TRY(model_.Decode(batch_));
    const std::vector<size_t> indices = std::exchange(running_, {});
    const uint64_t vocabulary = model_.config().vocab_size;
    for (size_t i = 0; i < indices.size() && !result_.non_finite; ++i) {
      if (!batch_.statuses[i].ok()) return Fail(indices[i], batch_.statuses[i].error());
      Take(indices[i], Largest(std::span(batch_.logits).subspan(i * vocabulary, vocabulary)));
    }
    return {};
  }

  // The prompt goes on unless this is the last token of its text.
  void Take(size_t index, uint64_t token) {
    std::vector<int32_t>& text = result_.texts[index];
    text.push_back(static_cast<int32_t>(token));
    const auto& stops = options_.stop_tokens;
    const bool stop = std::find(stops.begin(), stops.end(), text.back()) != stops.end();
    if (!stop && text.size() < options_.new_tokens && sequences_[index].length() < context_)
      running_.push_back(index);
  }

  Status Fail(size_t index, const Error& error) {
    result_.non_finite =
        AsNonFinite(error, side_, fmt::format("greedy text of prompt {}", index + 1));
    return result_.non_finite ? Status() : Status(Error(error));
  }

  const Model& model_;
  Side side_;
  uint64_t context_;
  const GreedyOptions& options_;
  GreedyTexts& result_;
  std::deque<Sequence> sequences_;
  std::vector<size_t> running_;
  DecodeBatch batch_;
};

}  // namespace

std::optional<uint64_t> FirstDifference(std::span<const int32_t> a, std::span<const int32_t> b) {
  const auto [left, right] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (left == a.end() && right == b.end()) return std::nullopt;
  return static_cast<uint64_t>(left - a.begin()) + 1;
}

Result<GreedyTexts> ContinueGreedily(const Model& model, Side side,
                                     std::span<const std::vector<int32_t>> windows,
                                     uint64_t context, const GreedyOptions& options) {
  GreedyTexts result;
  SLIM_TRY(Continuation(model, side, context, options, result).Run(windows));
  return result;
}

std::vector<GreedyComparison> CompareTexts(std::span<const std::vector<int32_t>> windows,
                                           GreedyTexts first, GreedyTexts second,
                                           const GreedyOptions& options) {
  std::vector<GreedyComparison> comparisons;
  for (size_t i = 0; i < first.texts.size(); ++i) {
    GreedyComparison comparison;
    comparison.prompt_tokens = std::min<size_t>(options.prompt_tokens, windows[i].size());
    comparison.first = std::move(first.texts[i]);
    comparison.second = std::move(second.texts[i]);
    comparison.first_difference = FirstDifference(comparison.first, comparison.second);
    comparisons.push_back(std::move(comparison));
  }
  return comparisons;
}

}  // namespace slim
