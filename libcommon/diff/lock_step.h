// Two models walk the same windows of tokens side by side, a few positions at a time; only the
// statistics of their logits are kept. No logits file, no more than one piece of logits a model in
// memory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "diff/metrics.h"
#include "parallel/thread_pool.h"

namespace slim {

enum class Side : uint8_t { kFirst, kSecond };

// Where logits come from. A window is a sequence of its own.
class LogitSource {
 public:
  virtual ~LogitSource() = default;
  virtual uint64_t vocabulary() const = 0;
  virtual void BeginWindow() = 0;
  // The next tokens of the window → [tokens, vocabulary], valid until the next call. Logits with
  // NaN or infinity are returned as they are, or reported as the error RUN-not-finite.
  virtual Result<std::span<const float>> Next(std::span<const int32_t> tokens) = 0;
};

// A NaN or an infinity ends the comparison: nothing is equal to it.
struct NonFinite {
  Side side = Side::kFirst;
  std::string where;   // "window 3", "greedy text of prompt 1"
  std::string detail;  // "the output of 'model.layers.1' has a NaN or an infinity"
};
// The finding of an error RUN-not-finite; nothing for any other error.
std::optional<NonFinite> AsNonFinite(const Error& error, Side side, std::string where);

// One model's logits against those of one or more others.
class LogitComparison {
 public:
  LogitComparison(uint64_t vocabulary, size_t others, ThreadPool& pool)
      : pool_(&pool), statistics_(others, LogitStatistics(vocabulary)) {}

  // More windows, each with at least two tokens; every source has the same vocabulary and begins
  // with the first of them. `total` is how many windows there are in all, for the progress. Stops
  // at the first NaN or infinity. Errors: those of the sources but RUN-not-finite.
  Status Add(LogitSource& first, std::span<LogitSource* const> others,
             std::span<const std::vector<int32_t>> windows, uint64_t total, Listener& listener);

  const std::optional<NonFinite>& non_finite() const { return non_finite_; }
  // Of others[index]; of no use when non_finite() is set.
  const LogitStatistics& statistics(size_t index = 0) const { return statistics_[index]; }

 private:
  Status AddWindow(LogitSource& first, std::span<LogitSource* const> others,
                   std::span<const int32_t> tokens);
  Result<std::span<const float>> Logits(LogitSource& source, std::span<const int32_t> tokens,
                                        Side side);
  void AddPiece(std::span<const float> first, std::span<const float> second,
                std::span<const int32_t> tokens, size_t begin, size_t count,
                LogitStatistics& statistics);

  ThreadPool* pool_;
  std::vector<LogitStatistics> statistics_;
  std::vector<PositionMetrics> metrics_;
  uint64_t windows_ = 0;
  std::optional<NonFinite> non_finite_;
};

}  // namespace slim
