// Two models walk the same windows of tokens side by side, a few positions at a time; only the
// statistics of their logits are kept. No logits file, no more than two pieces of logits in memory.
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
#include "run/model.h"

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

class ModelLogits : public LogitSource {
 public:
  explicit ModelLogits(const Model& model) : model_(&model), sequence_(model.config()) {}
  uint64_t vocabulary() const override { return model_->config().vocab_size; }
  void BeginWindow() override { sequence_.Clear(model_->config()); }
  Result<std::span<const float>> Next(std::span<const int32_t> tokens) override;

 private:
  const Model* model_;
  Sequence sequence_;
  std::vector<float> logits_;
};

// A NaN or an infinity ends the comparison: nothing is equal to it.
struct NonFinite {
  Side side = Side::kFirst;
  std::string where;   // "window 3", "greedy text of prompt 1"
  std::string detail;  // "the output of 'model.layers.1' has a NaN or an infinity"
};
// The finding of an error RUN-not-finite; nothing for any other error.
std::optional<NonFinite> AsNonFinite(const Error& error, Side side, std::string where);

struct LockStepResult {
  LogitSummary summary;  // of nothing when non_finite is set
  std::optional<NonFinite> non_finite;
};

// `windows` is not empty and each has at least two tokens; both sources have the same vocabulary.
// Errors: those of the sources but RUN-not-finite.
Result<LockStepResult> CompareLogits(LogitSource& first, LogitSource& second,
                                     std::span<const std::vector<int32_t>> windows,
                                     ThreadPool& pool, Listener& listener);

}  // namespace slim
