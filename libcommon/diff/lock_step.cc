#include "diff/lock_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "kernels/reduce.h"

namespace slim {
namespace {

// Positions computed together; bounds the logits in memory.
constexpr uint64_t kPiece = 128;
constexpr std::string_view kNotFinite = "RUN-not-finite";

class LockStep {
 public:
  LockStep(LogitSource& first, LogitSource& second, ThreadPool& pool)
      : first_(first), second_(second), pool_(pool), statistics_(first.vocabulary()) {}

  // Sets `found` and stops at the first NaN or infinity.
  Status AddWindow(std::span<const int32_t> tokens, uint64_t number,
                   std::optional<NonFinite>& found) {
    first_.BeginWindow();
    second_.BeginWindow();
    statistics_.BeginWindow();
    const std::string where = fmt::format("window {}", number);
    for (size_t begin = 0; begin < tokens.size() && !found; begin += kPiece) {
      const size_t count = std::min<size_t>(kPiece, tokens.size() - begin);
      const auto piece = tokens.subspan(begin, count);
      SLIM_ASSIGN(const auto first, Logits(first_, piece, Side::kFirst, where, found));
      if (found) return {};
      SLIM_ASSIGN(const auto second, Logits(second_, piece, Side::kSecond, where, found));
      if (found) return {};
      AddPiece(first, second, tokens, begin, count);
    }
    return {};
  }

  LogitSummary Summarize() const { return statistics_.Summarize(); }

 private:
  Result<std::span<const float>> Logits(LogitSource& source, std::span<const int32_t> tokens,
                                        Side side, const std::string& where,
                                        std::optional<NonFinite>& found) {
    auto logits = source.Next(tokens);
    if (!logits.ok()) {
      found = AsNonFinite(logits.error(), side, where);
      if (found) return std::span<const float>();
      return logits;
    }
    assert(logits->size() == tokens.size() * source.vocabulary());
    if (!AllFinite(logits->data(), logits->size()))
      found = NonFinite{side, where, "the logits have a NaN or an infinity"};
    return logits;
  }

  void AddPiece(std::span<const float> first, std::span<const float> second,
                std::span<const int32_t> tokens, size_t begin, size_t count) {
    const uint64_t vocabulary = first_.vocabulary();
    const auto has_next = [&](size_t i) { return begin + i + 1 < tokens.size(); };
    metrics_.resize(count);
    pool_.ParallelFor(count, 1, [&](uint64_t from, uint64_t to) {
      for (uint64_t i = from; i < to; ++i) {
        std::optional<int32_t> target;
        if (has_next(i)) target = tokens[begin + i + 1];
        metrics_[i] = ComparePosition(first.data() + i * vocabulary, second.data() + i * vocabulary,
                                      vocabulary, target);
      }
    });
    for (size_t i = 0; i < count; ++i) statistics_.Add(metrics_[i], has_next(i));
  }

  LogitSource& first_;
  LogitSource& second_;
  ThreadPool& pool_;
  LogitStatistics statistics_;
  std::vector<PositionMetrics> metrics_;
};

}  // namespace

Result<std::span<const float>> ModelLogits::Next(std::span<const int32_t> tokens) {
  SLIM_TRY(model_->Forward(tokens, sequence_, /*last_only=*/false, logits_));
  return std::span<const float>(logits_);
}

std::optional<NonFinite> AsNonFinite(const Error& error, Side side, std::string where) {
  if (error.rule != kNotFinite) return std::nullopt;
  return NonFinite{side, std::move(where), error.message};
}

Result<LockStepResult> CompareLogits(LogitSource& first, LogitSource& second,
                                     std::span<const std::vector<int32_t>> windows,
                                     ThreadPool& pool, Listener& listener) {
  assert(first.vocabulary() == second.vocabulary() && !windows.empty());
  LockStep lock_step(first, second, pool);
  LockStepResult result;
  for (size_t i = 0; i < windows.size(); ++i) {
    SLIM_TRY(lock_step.AddWindow(windows[i], i + 1, result.non_finite));
    if (result.non_finite) return result;
    listener.Progress("windows", i + 1, windows.size());
  }
  result.summary = lock_step.Summarize();
  return result;
}

}  // namespace slim
