#include "os/memory.h"

#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "os/file.h"

namespace slim {
namespace {

constexpr uint64_t kLargestFile = 1 << 20;
// Of x86-64 and of aarch64 with pages of 4 KiB.
constexpr uint64_t kLargePage = 2 << 20;

// The first number of `text`.
std::optional<uint64_t> NumberIn(std::string_view text) {
  const size_t digit = text.find_first_of("0123456789");
  if (digit == std::string_view::npos) return std::nullopt;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data() + digit, text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  return number;
}

std::optional<uint64_t> NumberOf(const std::string& path) {
  const auto text = ReadWholeFile(path, kLargestFile);
  return text.ok() ? NumberIn(*text) : std::nullopt;
}

}  // namespace

void ReturnLargeBlocks() {
#ifdef __GLIBC__
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

void PreferLargePages(std::span<std::byte> memory) {
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  const uint64_t skipped = (kLargePage - address % kLargePage) % kLargePage;
  if (memory.size() < skipped + kLargePage) return;
  const uint64_t size = (memory.size() - skipped) / kLargePage * kLargePage;
  static_cast<void>(::madvise(memory.data() + skipped, size, MADV_HUGEPAGE));
}

uint64_t AvailableMemory() {
  uint64_t available = 0;
  constexpr std::string_view kName = "MemAvailable:";
  const auto meminfo = ReadWholeFile("/proc/meminfo", kLargestFile);
  if (meminfo.ok()) {
    const size_t line = meminfo->find(kName);
    if (line != std::string::npos) {
      const std::string_view rest = std::string_view(*meminfo).substr(line + kName.size());
      available = NumberIn(rest.substr(0, rest.find('\n'))).value_or(0) << 10;
    }
  }
  const auto limit = NumberOf("/sys/fs/cgroup/memory.max");
  const auto used = NumberOf("/sys/fs/cgroup/memory.current");
  if (!limit || !used) return available;
  const uint64_t left = *limit - std::min(*limit, *used);
  return available == 0 ? left : std::min(available, left);
}

}  // namespace slim
