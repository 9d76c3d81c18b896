// Causal grouped-query attention over a cache, in float32. Every query row is computed in an order
// of its own, so its bits do not depend on how a sequence is cut into calls, nor on threads.
#pragma once

#include <cstdint>
#include <optional>

#include "parallel/thread_pool.h"
#include "run/kv_cache.h"

namespace slim {

struct AttentionShape {
  uint64_t num_heads = 0;
  uint64_t num_kv_heads = 0;
  uint64_t head_dim = 0;
  std::optional<uint64_t> window;  // positions a query sees, itself included; empty: all
  uint64_t value_dim = 0;          // of a value head; 0: head_dim
  float scale = 0;                 // of the scores; 0: 1 / √head_dim
};

// queries [t, num_heads, head_dim], rotated, at positions first .. first + t - 1, which the cache
// holds; out [t, num_heads, value_dim]. softmax(scale · q kᵀ) v. The order of the `reference`
// backend: scores as Dot, softmax, values added by rising position.
void Attend(const AttentionShape& shape, const float* queries, uint64_t t, uint64_t first,
            const KvCacheLayer& cache, float* out, ThreadPool& pool);

// The same in blocks of positions, which are read once for many rows (kernels/attention.h).
void AttendFast(const AttentionShape& shape, const float* queries, uint64_t t, uint64_t first,
                const KvCacheLayer& cache, float* out, ThreadPool& pool);

}  // namespace slim
