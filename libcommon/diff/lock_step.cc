#include "diff/lock_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "os/interrupt.h"
#include "run/finite.h"

namespace slim {
namespace {

// Positions computed together; bounds the logits in memory.
constexpr uint64_t kPiece = 128;
constexpr std::string_view kNotFinite = "RUN-not-finite";

}  // namespace

std::optional<NonFinite> AsNonFinite(const Error& error, Side side, std::string where) {
  if (error.rule != kNotFinite) return std::nullopt;
  return NonFinite{side, std::move(where), error.message};
}

Result<std::span<const float>> LogitComparison::Logits(LogitSource& source,
                                                       std::span<const int32_t> tokens, Side side) {
  const std::string where = fmt::format("window {}", windows_);
  auto logits = source.Next(tokens);
  if (!logits.ok()) {
    non_finite_ = AsNonFinite(logits.error(), side, where);
    if (non_finite_) return std::span<const float>();
    return logits;
  }
  assert(logits->size() == tokens.size() * source.vocabulary());
  if (!AllFiniteOn(*pool_, logits->data(), logits->size()))
    non_finite_ = NonFinite{side, where, "the logits have a NaN or an infinity"};
  return logits;
}

void LogitComparison::AddPiece(std::span<const float> first, std::span<const float> second,
                               std::span<const int32_t> tokens, size_t begin, size_t count,
                               LogitStatistics& statistics) {
  const uint64_t vocabulary = first.size() / count;
  const auto has_next = [&](size_t i) { return begin + i + 1 < tokens.size(); };
  metrics_.resize(count);
  pool_->ParallelFor(count, 1, [&](uint64_t from, uint64_t to) {
    for (uint64_t i = from; i < to; ++i) {
      std::optional<int32_t> target;
      if (has_next(i)) target = tokens[begin + i + 1];
      metrics_[i] = ComparePosition(first.data() + i * vocabulary, second.data() + i * vocabulary,
                                    vocabulary, target);
    }
  });
  for (size_t i = 0; i < count; ++i) statistics.Add(metrics_[i], has_next(i));
}

Status LogitComparison::AddWindow(LogitSource& first, std::span<LogitSource* const> others,
                                  std::span<const int32_t> tokens) {
  ++windows_;
  first.BeginWindow();
  for (LogitSource* other : others) other->BeginWindow();
  for (LogitStatistics& statistics : statistics_) statistics.BeginWindow();
  for (size_t begin = 0; begin < tokens.size(); begin += kPiece) {
    const size_t count = std::min<size_t>(kPiece, tokens.size() - begin);
    const auto piece = tokens.subspan(begin, count);
    SLIM_ASSIGN(const auto first_logits, Logits(first, piece, Side::kFirst));
    if (non_finite_) return {};
    for (size_t i = 0; i < others.size(); ++i) {
      SLIM_ASSIGN(const auto logits, Logits(*others[i], piece, Side::kSecond));
      if (non_finite_) return {};
      AddPiece(first_logits, logits, tokens, begin, count, statistics_[i]);
    }
  }
  return {};
}

Status LogitComparison::Add(LogitSource& first, std::span<LogitSource* const> others,
                            std::span<const std::vector<int32_t>> windows, uint64_t total,
                            Listener& listener) {
  assert(others.size() == statistics_.size());
  for (const std::vector<int32_t>& window : windows) {
    SLIM_TRY(CheckInterrupt());
    SLIM_TRY(AddWindow(first, others, window));
    if (non_finite_) return {};
    listener.Progress("logits of windows", windows_, total);
  }
  return {};
}

}  // namespace slim
