// Writes beside the work that makes what is written next: one at a time, in the order they are
// given. Knows nothing of what is written.
#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <system_error>
#include <utility>

#include "base/result.h"

namespace slim {

// A future of work(): `beside` what follows, or when it is asked for; so, too, where the system has
// no thread to give.
template <class Work>
auto RunBeside(bool beside, Work work) {
  const auto call = [held = std::make_shared<Work>(std::move(work))] { return (*held)(); };
  if (beside) {
    try {
      return std::async(std::launch::async, call);
    } catch (const std::system_error&) {  // no thread
    }
  }
  return std::async(std::launch::deferred, call);
}

class WriteBehind {
 public:
  // Without `beside` a write runs when the next one is given, or in Finish().
  explicit WriteBehind(bool beside) : beside_(beside) {}

  // Waits for the write before and begins this one, a callable that gives a Status and owns what it
  // writes. Errors: those of the write before, which leave this one undone.
  template <class Write>
  Status Begin(Write write) {
    SLIM_TRY(Finish());
    running_ = RunBeside(beside_, std::move(write));
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
  bool beside_;
  std::future<Status> running_;  // its destructor waits
};

}  // namespace slim
