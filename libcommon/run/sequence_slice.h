// The tokens of one sequence in a call that computes several sequences at once: every row of the
// call belongs to one slice, slices follow each other. A row's result does not depend on the other
// rows.
#pragma once

#include <cstdint>
#include <span>

#include "run/kv_cache.h"
#include "run/rope.h"

namespace slim {

struct SequenceSlice {
  uint64_t tokens = 0;              // at positions first .. first + tokens - 1
  uint64_t first = 0;               // the cache holds the positions before
  const RopeTable* rope = nullptr;  // has rows for every position
  KvCacheLayer* cache = nullptr;    // of the block that computes; takes the new positions
};

inline uint64_t TotalTokens(std::span<const SequenceSlice> slices) {
  uint64_t total = 0;
  for (const SequenceSlice& slice : slices) total += slice.tokens;
  return total;
}

}  // namespace slim
