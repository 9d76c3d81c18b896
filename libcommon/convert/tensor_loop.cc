#include "convert/tensor_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>

#include "base/text.h"
#include "os/interrupt.h"

namespace slim {
namespace {

// What a run needs besides tensors: code, headers, descriptions, thread stacks.
constexpr uint64_t kOverhead = 64ULL << 20;

// Who works at a time: in the order of the indices, as many as fit the budget together.
class Window {
 public:
  explicit Window(uint64_t budget) : budget_(budget) {}

  // Waits until all before `i` entered and its bytes fit beside those that work, or none does.
  // False: one before it failed, and `i` is to be left out.
  bool Enter(uint64_t i, uint64_t bytes) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      return next_ == i && (working_ == 0 || failed_ || in_flight_ + bytes <= budget_);
    });
    ++next_;
    changed_.notify_all();
    if (failed_) return false;
    ++working_;
    in_flight_ += bytes;
    return true;
  }

  // The bytes done so far.
  uint64_t Leave(uint64_t i, uint64_t bytes, Status status) {
    const std::lock_guard lock(mutex_);
    --working_;
    in_flight_ -= bytes;
    done_ += bytes;
    if (!status.ok() && (!failed_ || i < failed_->index))
      failed_ = Failure{i, std::move(status).error()};
    changed_.notify_all();
    return done_;
  }

  // Once nobody works.
  uint64_t done() const { return done_; }
  Status TakeStatus() { return failed_ ? Status(std::move(failed_->error)) : Status(); }

 private:
  struct Failure {
    uint64_t index = 0;
    Error error;
  };

  const uint64_t budget_;
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t next_ = 0;
  uint64_t working_ = 0;
  uint64_t in_flight_ = 0;
  uint64_t done_ = 0;
  std::optional<Failure> failed_;
};

}  // namespace

Result<uint64_t> BudgetFor(uint64_t largest, uint64_t max_memory, uint64_t forms) {
  const uint64_t usual = largest + kUsualBudget / forms;
  if (max_memory == 0) return usual;
  const uint64_t needed = forms * largest + kOverhead;
  if (max_memory < needed) {
    return UsageError(fmt::format("--max-memory is {}, the largest tensor needs {}",
                                  HumanSize(max_memory), HumanSize(needed)));
  }
  return std::min(usual, (max_memory - kOverhead) / forms);
}

Status ForEachTensor(const TensorLoop& loop, std::span<const uint64_t> sizes,
                     const std::function<Status(size_t)>& work) {
  const uint64_t total = std::accumulate(sizes.begin(), sizes.end(), uint64_t{0});
  const std::thread::id caller = std::this_thread::get_id();
  Window window(loop.budget);
  loop.pool.ParallelFor(sizes.size(), 1, [&](uint64_t first, uint64_t last) {
    for (uint64_t i = first; i < last; ++i) {
      if (!window.Enter(i, sizes[i])) continue;
      Status status = CheckInterrupt();
      if (status.ok()) status = work(i);
      const uint64_t done = window.Leave(i, sizes[i], std::move(status));
      if (!loop.progress.empty() && std::this_thread::get_id() == caller)
        loop.listener.Progress(loop.progress, done, total);
    }
  });
  // The last may have been another thread's.
  if (!loop.progress.empty()) loop.listener.Progress(loop.progress, window.done(), total);
  return window.TakeStatus();
}

}  // namespace slim
