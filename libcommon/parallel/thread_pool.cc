#include "parallel/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace slim {
namespace {

// A loop of a few microseconds follows the one before within tens of them; sleeping and being woken
// takes about as long as both. So a thread looks this often (some 20 us) before it sleeps.
constexpr int kLooks = 1000;

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Looking is of use only where every thread has a processor.
bool MayLook(int threads) {
  return static_cast<unsigned>(threads) <= std::thread::hardware_concurrency();
}

// Set while this thread runs chunks of some pool: a loop inside a loop must not wait for threads
// that wait for it.
thread_local bool inside_parallel_for = false;

}  // namespace

struct ThreadPool::State {
  using Work = std::function<void(uint64_t, uint64_t)>;

  std::vector<std::thread> workers;
  std::atomic<uint32_t> generation{0};  // counts jobs; workers sleep on it
  std::atomic<uint64_t> next_chunk{0};

  std::mutex mutex;
  std::condition_variable all_left;
  bool stop = false;
  bool open = false;  // a worker that wakes after the last chunk was taken finds the job closed
  std::atomic<int> joined{0};
  int looks = 0;
  const Work* work = nullptr;
  uint64_t count = 0;
  uint64_t grain = 1;
  uint64_t chunks = 0;
  std::exception_ptr thrown;  // by the first chunk that did

  void RunChunks() {
    inside_parallel_for = true;
    try {
      for (;;) {
        const uint64_t chunk = next_chunk.fetch_add(1, std::memory_order_relaxed);
        if (chunk >= chunks) break;
        const uint64_t begin = chunk * grain;
        (*work)(begin, begin + std::min(grain, count - begin));
      }
    } catch (...) {
      next_chunk.store(chunks, std::memory_order_relaxed);
      const std::lock_guard lock(mutex);
      if (!thrown) thrown = std::current_exception();
    }
    inside_parallel_for = false;
  }

  void WorkerLoop() {
    uint32_t seen = 0;
    for (;;) {
      for (int i = 0; i < looks && generation.load(std::memory_order_relaxed) == seen; ++i) Pause();
      generation.wait(seen);
      seen = generation.load();
      {
        const std::lock_guard lock(mutex);
        if (stop) return;
        if (!open) continue;
        ++joined;
      }
      RunChunks();
      const std::lock_guard lock(mutex);
      if (--joined == 0) all_left.notify_one();
    }
  }

  void Wake() {
    generation.fetch_add(1);
    generation.notify_all();
  }

  void Run(uint64_t count_in, uint64_t grain_in, uint64_t chunks_in, const Work& work_in) {
    {
      const std::lock_guard lock(mutex);
      work = &work_in;
      count = count_in;
      grain = grain_in;
      chunks = chunks_in;
      next_chunk.store(0, std::memory_order_relaxed);
      open = true;
    }
    Wake();
    RunChunks();
    for (int i = 0; i < looks && joined.load(std::memory_order_relaxed) != 0; ++i) Pause();
    std::unique_lock lock(mutex);
    open = false;
    all_left.wait(lock, [this] { return joined == 0; });
    if (thrown) std::rethrow_exception(std::exchange(thrown, nullptr));
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  assert(threads >= 1);
  if (MayLook(threads)) state_->looks = kLooks;
  for (int i = 1; i < threads; ++i) {
    try {
      state_->workers.emplace_back([state = state_.get()] { state->WorkerLoop(); });
    } catch (const std::system_error&) {
      break;
    }
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->Wake();
  for (std::thread& worker : state_->workers) worker.join();
}

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::ParallelFor(uint64_t count, uint64_t grain,
                             const std::function<void(uint64_t begin, uint64_t end)>& work) {
  assert(grain > 0);
  const uint64_t chunks = count / grain + (count % grain != 0 ? 1 : 0);
  if (chunks > 1 && !state_->workers.empty() && !inside_parallel_for) {
    state_->Run(count, grain, chunks, work);
    return;
  }
  for (uint64_t chunk = 0; chunk < chunks; ++chunk) {
    const uint64_t begin = chunk * grain;
    work(begin, begin + std::min(grain, count - begin));
  }
}

}  // namespace slim
