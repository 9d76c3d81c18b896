// Writes beside the work that makes what is written next: one at a time, in the order they are
// given. Knows nothing of what is written.
#pragma once

#include <chrono>
#include <future>
#include <utility>

#include "base/result.h"

namespace slim {

class WriteBehind {
 public:
  // Without `beside` a write runs when the next one is given, or in Finish().
  explicit WriteBehind(bool beside)
      : policy_(beside ? std::launch::async : std::launch::deferred) {}

  // Waits for the write before and begins this one, a callable that gives a Status and owns what it
  // writes. Errors: those of the write before, which leave this one undone.
  template <class Write>
  Status Begin(Write write) {
    SLIM_TRY(Finish());
    running_ = std::async(policy_, std::move(write));
    return {};
  }
  // Does not wait. Errors: those of a write that is done.
  Status Poll() {
    const bool done =
        running_.valid() && running_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    return done ? running_.get() : Status();
  }
  // Errors: those of the last write.
  Status Finish() { return running_.valid() ? running_.get() : Status(); }

 private:
  std::launch policy_;
  std::future<Status> running_;  // its destructor waits
};

}  // namespace slim
