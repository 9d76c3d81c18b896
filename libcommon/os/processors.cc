#include "os/processors.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace slim {
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
