#include "serve/answer_stream.h"

namespace slim {

void AnswerStream::Push(AnswerPiece piece) {
  {
    const std::lock_guard lock(mutex_);
    pieces_.push_back(std::move(piece));
  }
  changed_.notify_all();
}

void AnswerStream::Finish(TokenUsage usage) {
  {
    const std::lock_guard lock(mutex_);
    usage_ = usage;
    finished_ = true;
  }
  changed_.notify_all();
}

void AnswerStream::Fail(Error error) {
  {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
    finished_ = true;
  }
  changed_.notify_all();
}

Result<std::optional<AnswerPiece>> AnswerStream::Next(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [&] { return !pieces_.empty() || finished_; });
  if (!pieces_.empty()) {
    std::optional<AnswerPiece> piece = std::move(pieces_.front());
    pieces_.pop_front();
    return piece;
  }
  if (error_) return *error_;
  return std::optional<AnswerPiece>();
}

bool AnswerStream::done() const {
  const std::lock_guard lock(mutex_);
  return finished_ && pieces_.empty() && !error_;
}

TokenUsage AnswerStream::usage() const {
  const std::lock_guard lock(mutex_);
  return usage_;
}

}  // namespace slim
