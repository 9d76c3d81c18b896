#include "run/finite.h"

#include <atomic>

#include "kernels/reduce.h"

namespace slim {

bool AllFiniteOn(ThreadPool& pool, const float* values, uint64_t count) {
  constexpr uint64_t kGrain = uint64_t{1} << 16;
  std::atomic<bool> finite{true};
  pool.ParallelFor(count, kGrain, [&](uint64_t begin, uint64_t end) {
    if (!AllFinite(values + begin, end - begin)) finite = false;
  });
  return finite;
}

}  // namespace slim
