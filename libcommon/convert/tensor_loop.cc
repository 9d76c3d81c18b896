#include "convert/tensor_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "base/text.h"
#include "os/interrupt.h"

namespace slim {
namespace {

// What a run needs besides tensors: code, headers, descriptions, thread stacks.
constexpr uint64_t kOverhead = 64ULL << 20;

}  // namespace

Result<uint64_t> BudgetFor(uint64_t largest, uint64_t max_memory, uint64_t forms) {
  const uint64_t usual = std::max(largest, kUsualBudget);
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
  uint64_t done = 0;
  for (size_t begin = 0; begin < sizes.size();) {
    size_t end = begin + 1;
    uint64_t bytes = sizes[begin];
    while (end < sizes.size() && bytes + sizes[end] <= loop.budget) bytes += sizes[end++];
    std::vector<std::optional<Error>> errors(end - begin);
    loop.pool.ParallelFor(end - begin, 1, [&](uint64_t first, uint64_t last) {
      for (uint64_t i = first; i < last; ++i) {
        Status status = CheckInterrupt();
        if (status.ok()) status = work(begin + i);
        if (!status.ok()) errors[i] = std::move(status).error();
      }
    });
    for (std::optional<Error>& error : errors) {
      if (error) return *std::move(error);
    }
    done += bytes;
    if (!loop.progress.empty()) loop.listener.Progress(loop.progress, done, total);
    begin = end;
  }
  return {};
}

}  // namespace slim
