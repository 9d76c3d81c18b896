// The loop of every streaming conversion: work on tensors in parallel, with a bound on the bytes in
// flight. Knows nothing of what the work is.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "base/listener.h"
#include "base/result.h"
#include "parallel/thread_pool.h"

namespace slim {

struct TensorLoop {
  ThreadPool& pool;
  Listener& listener;
  uint64_t budget = 0;  // bytes in flight together; one tensor may be larger
  std::string_view progress = {};
};

// In flight beside the largest: enough to keep every thread busy.
inline constexpr uint64_t kUsualBudget = 64ULL << 20;

// Bytes of tensors in flight together, where the largest piece of work takes `largest`: what
// `max_memory` leaves beside code, headers and thread stacks (0: no limit). `forms` of a piece
// are in memory at a time: 2 where its size counts the source and not what is made of it.
// A usage error where the memory does not hold the largest.
Result<uint64_t> BudgetFor(uint64_t largest, uint64_t max_memory, uint64_t forms = 1);

// work(i) for each size, begun in this order, as many at a time as fit the budget. Returns the
// error of the lowest index; begins nothing after a failure, nor when a signal arrived. Progress
// comes from the calling thread only, at the end in any case.
Status ForEachTensor(const TensorLoop& loop, std::span<const uint64_t> sizes,
                     const std::function<Status(size_t)>& work);

}  // namespace slim
