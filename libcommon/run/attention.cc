#include "run/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/attention.h"
#include "kernels/matmul.h"
#include "kernels/transformer.h"

namespace slim {
namespace {

// Scores of one chunk of work: at most this many floats, unless one query has more.
constexpr uint64_t kScoresPerChunk = uint64_t{1} << 18;
// Query rows that AttendFast takes through the blocks together: they and their sums fit in the
// second-level cache beside a block.
constexpr uint64_t kRowsPerChunk = 448;
// Its chunks a thread, at least, where there are tokens enough.
constexpr uint64_t kChunksPerThread = 4;

struct Job {
  const AttentionShape& shape;
  const float* queries;
  uint64_t first;
  const KvCacheLayer& cache;
  float* out;
  uint64_t value_dim;
  float scale;
};

// One query row: `scores` holds its products with the keys of positions base .. position.
void FinishRow(const Job& job, uint64_t kv_head, uint64_t base, uint64_t position, float* scores,
               float* out) {
  const uint64_t dim = job.value_dim;
  uint64_t begin = base;
  if (job.shape.window && position + 1 > *job.shape.window)
    begin = std::max(begin, position + 1 - *job.shape.window);
  float* visible = scores + (begin - base);
  const uint64_t count = position + 1 - begin;
  for (uint64_t i = 0; i < count; ++i) visible[i] *= job.scale;
  Softmax(visible, count);
  std::fill_n(out, dim, 0.0F);
  const float* values = job.cache.values(kv_head) + begin * dim;
  for (uint64_t i = 0; i < count; ++i) Axpy(visible[i], values + i * dim, out, dim);
}

// Queries begin .. end - 1 (of the call) of all heads that share one key-value head.
void AttendChunk(const Job& job, uint64_t kv_head, uint64_t begin, uint64_t end, ThreadPool& pool) {
  const AttentionShape& shape = job.shape;
  const uint64_t dim = shape.head_dim;
  const uint64_t group = shape.num_heads / shape.num_kv_heads;
  const uint64_t rows = (end - begin) * group;
  const uint64_t stride = shape.num_heads * dim;
  // The first key that any of these queries sees, and the number of keys up to the last.
  uint64_t base = 0;
  if (shape.window && job.first + begin + 1 > *shape.window)
    base = job.first + begin + 1 - *shape.window;
  const uint64_t keys = job.first + end - base;
  std::vector<float> packed(rows * dim);
  std::vector<float> scores(rows * keys);
  for (uint64_t row = 0; row < rows; ++row) {
    const float* query =
        job.queries + (begin + row / group) * stride + (kv_head * group + row % group) * dim;
    std::copy_n(query, dim, packed.data() + row * dim);
  }
  const float* key_data = job.cache.keys(kv_head) + base * dim;
  const TensorView key_view{
      DType::kF32, {keys, dim}, std::as_bytes(std::span(key_data, keys * dim))};
  MatMul(packed.data(), rows, key_view, scores.data(), pool);
  for (uint64_t row = 0; row < rows; ++row) {
    const uint64_t token = begin + row / group;
    FinishRow(job, kv_head, base, job.first + token, scores.data() + row * keys,
              job.out + (token * shape.num_heads + kv_head * group + row % group) * job.value_dim);
  }
}

// As AttendChunk.
void AttendChunkFast(const Job& job, uint64_t kv_head, uint64_t begin, uint64_t end) {
  thread_local std::vector<float> packed, out;
  thread_local std::vector<uint64_t> first_seen, seen;
  const AttentionShape& shape = job.shape;
  const uint64_t dim = shape.head_dim;
  const uint64_t group = shape.num_heads / shape.num_kv_heads;
  const uint64_t rows = (end - begin) * group;
  packed.resize(rows * dim);
  out.resize(rows * job.value_dim);
  first_seen.assign(rows, 0);
  seen.resize(rows);
  const auto head_of = [&](uint64_t row) {
    return (begin + row / group) * shape.num_heads + kv_head * group + row % group;
  };
  for (uint64_t row = 0; row < rows; ++row) {
    const float* query = job.queries + head_of(row) * dim;
    std::copy_n(query, dim, packed.data() + row * dim);
    seen[row] = job.first + begin + row / group + 1;
    if (shape.window && seen[row] > *shape.window) first_seen[row] = seen[row] - *shape.window;
  }
  AttendRows({packed.data(), job.scale, rows, job.cache.keys(kv_head), job.cache.values(kv_head),
              dim, job.value_dim, first_seen.data(), seen.data(), out.data()});
  for (uint64_t row = 0; row < rows; ++row)
    std::copy_n(out.data() + row * job.value_dim, job.value_dim,
                job.out + head_of(row) * job.value_dim);
}

Job JobOf(const AttentionShape& shape, const float* queries, uint64_t first,
          const KvCacheLayer& cache, float* out) {
  const float scale =
      shape.scale != 0 ? shape.scale
                       : static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim)));
  const uint64_t value_dim = shape.value_dim == 0 ? shape.head_dim : shape.value_dim;
  return {shape, queries, first, cache, out, value_dim, scale};
}

}  // namespace

void AttendFast(const AttentionShape& shape, const float* queries, uint64_t t, uint64_t first,
                const KvCacheLayer& cache, float* out, ThreadPool& pool) {
  const Job job = JobOf(shape, queries, first, cache, out);
  const uint64_t group = shape.num_heads / shape.num_kv_heads;
  const uint64_t fair =
      t * shape.num_kv_heads / (static_cast<uint64_t>(pool.threads()) * kChunksPerThread);
  const uint64_t tokens = std::clamp<uint64_t>(std::min(kRowsPerChunk / group, fair), 1, t);
  const uint64_t chunks = (t + tokens - 1) / tokens;
  pool.ParallelFor(shape.num_kv_heads * chunks, 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      // The last tokens see most and take longest: they come first.
      const uint64_t start = (chunks - 1 - i / shape.num_kv_heads) * tokens;
      AttendChunkFast(job, i % shape.num_kv_heads, start, std::min(t, start + tokens));
    }
  });
}

void Attend(const AttentionShape& shape, const float* queries, uint64_t t, uint64_t first,
            const KvCacheLayer& cache, float* out, ThreadPool& pool) {
  const Job job = JobOf(shape, queries, first, cache, out);
  const uint64_t group = shape.num_heads / shape.num_kv_heads;
  const uint64_t keys = first + t;
  const uint64_t tokens = std::clamp<uint64_t>(kScoresPerChunk / (keys * group), 1, t);
  const uint64_t chunks = (t + tokens - 1) / tokens;
  pool.ParallelFor(shape.num_kv_heads * chunks, 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      const uint64_t start = i % chunks * tokens;
      AttendChunk(job, i / chunks, start, std::min(t, start + tokens), pool);
    }
  });
}

}  // namespace slim
