// A pool with a fixed number of threads and one operation: a loop over a range, cut into chunks
// whose borders never depend on the number of threads. No futures, no nesting, no priorities.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace slim {

class ThreadPool {
 public:
  // `threads` >= 1 counts the caller, who works too; 1 starts no thread. Where the system refuses a
  // thread the pool goes on with those it has.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  // Calls work(begin, end) over [0, count) in chunks of `grain` > 0 elements, the last one shorter
  // where it must be. Returns when all chunks are done. One caller at a time. What `work` throws
  // (std::bad_alloc) ends the loop early and is thrown here. A ParallelFor from inside `work` is
  // served on the thread that asked, with the same chunks.
  void ParallelFor(uint64_t count, uint64_t grain,
                   const std::function<void(uint64_t begin, uint64_t end)>& work);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slim
