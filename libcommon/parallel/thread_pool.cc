#include "parallel/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <charconv>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace slim {
namespace {

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
  int joined = 0;
  const Work* work = nullptr;
  uint64_t count = 0;
  uint64_t grain = 1;
  uint64_t chunks = 0;

  void RunChunks() {
    inside_parallel_for = true;
    for (;;) {
      const uint64_t chunk = next_chunk.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= chunks) break;
      const uint64_t begin = chunk * grain;
      (*work)(begin, begin + std::min(grain, count - begin));
    }
    inside_parallel_for = false;
  }

  void WorkerLoop() {
    uint32_t seen = 0;
    for (;;) {
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
    std::unique_lock lock(mutex);
    open = false;
    all_left.wait(lock, [this] { return joined == 0; });
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  assert(threads >= 1);
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

namespace {

int AffinityCount() {
  // The kernel refuses a mask smaller than its own, whose size is not told: double until it fits.
  for (int size = 1024; size <= (1 << 20); size *= 2) {
    cpu_set_t* set = CPU_ALLOC(size);
    if (set == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(size);
    const bool ok = sched_getaffinity(0, bytes, set) == 0;
    const int count = ok ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (ok) return std::max(count, 1);
  }
  return std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
}

std::optional<int64_t> ParseNumber(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Whole processors in `quota` microseconds out of every `period`; nothing where there is no limit.
std::optional<int> QuotaCount(std::string_view quota, std::string_view period) {
  const std::optional<int64_t> limit = ParseNumber(quota);
  const std::optional<int64_t> base = ParseNumber(period);
  if (!limit || !base || *limit <= 0 || *base <= 0) return std::nullopt;
  const int64_t count = (*limit - 1) / *base + 1;
  return static_cast<int>(std::min<int64_t>(count, 1 << 20));
}

// cgroup v2: "max 100000" or "150000 100000" in cpu.max of our group and of every group above it.
int CgroupV2Count(int count, std::string group) {
  for (;;) {
    const std::string line = FirstLine("/sys/fs/cgroup" + group + "/cpu.max");
    if (const size_t space = line.find(' '); space != std::string::npos) {
      const std::string_view text = line;
      const auto quota = QuotaCount(text.substr(0, space), text.substr(space + 1));
      if (quota) count = std::min(count, *quota);
    }
    if (group.empty() || group == "/") return count;
    group.resize(group.rfind('/'));
  }
}

}  // namespace

int DefaultThreadCount() {
  int count = AffinityCount();
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (line.starts_with("0::/")) count = CgroupV2Count(count, line.substr(3));
  }
  const std::string v1 = "/sys/fs/cgroup/cpu/cpu.cfs_";
  const auto quota = QuotaCount(FirstLine(v1 + "quota_us"), FirstLine(v1 + "period_us"));
  if (quota) count = std::min(count, *quota);
  return std::max(count, 1);
}

}  // namespace slim
