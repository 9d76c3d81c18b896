// What a request gets while it is computed: pieces of text of its choices, with log probabilities
// where they were asked for. Written by the scheduler's thread, read by the thread that answers the
// client. The only thing the two share.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace slim {

struct TokenLogprob {
  std::string token;              // its text on its own
  std::optional<double> logprob;  // of the first token of a prompt there is none
  uint64_t offset = 0;            // characters of the answer's text before it
  std::vector<std::pair<std::string, double>> top;
};

enum class StopReason : uint8_t { kStop, kLength };

struct AnswerPiece {
  uint64_t choice = 0;
  std::string text;
  std::vector<TokenLogprob> logprobs;
  std::optional<StopReason> finished;
};

// Tokens of a request, for `usage`.
struct TokenUsage {
  uint64_t prompt = 0;
  uint64_t completion = 0;
};

class AnswerStream {
 public:
  // The scheduler's side.
  void Push(AnswerPiece piece);
  void Finish(TokenUsage usage);
  void Fail(Error error);
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

  // The client's side. Waits at most `patience`: a piece; nothing when time is up or the answer is
  // over (done()); the error that ended it.
  Result<std::optional<AnswerPiece>> Next(std::chrono::milliseconds patience);
  // Never of an answer that an error ended: only Next() tells of it.
  bool done() const;
  // Of a finished answer.
  TokenUsage usage() const;
  // Nobody waits any more: the scheduler drops the request at its next step.
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<AnswerPiece> pieces_;
  TokenUsage usage_;
  std::optional<Error> error_;
  bool finished_ = false;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace slim
