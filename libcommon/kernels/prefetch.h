// How products of few rows, which the memory's speed bounds, ask for weights ahead. Internal to
// kernels.
#pragma once

#include <cstddef>
#include <cstdint>

namespace slim {

// Rows up to which the weights pass faster than they arrive.
constexpr uint64_t kStreamedRows = 4;
// Far enough to hide a miss, across the pages at which the processor's own prefetchers stop.
constexpr uint64_t kPrefetchBytes = 8192;

// Asks for what one step of a panel, `kBytes` long, will be so far ahead.
template <uint64_t kBytes>
inline void PrefetchStep(const std::byte* w) {
  for (uint64_t line = 0; line < kBytes; line += 64) __builtin_prefetch(w + kPrefetchBytes + line);
}

}  // namespace slim
