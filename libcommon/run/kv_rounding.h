// What a cache of fewer bits makes of keys and values: int8 codes by channel (C8), or BF16. The
// cache itself keeps the float32 values that the codes stand for, so attention reads the same
// numbers whether they are of this call or of an earlier one, however a sequence is cut.
//
// C8 (facts: consumers.md 8.1, algorithms.md 6): q = clamp(rne(x · (1 / scale) + offset), −128,
// 127) of keys after rotation and of values; attention sees (q − offset) · scale. Engines drop the
// offset there, which is right for the symmetric caches that they can use: offset 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "parallel/thread_pool.h"

namespace slim {

// kCheckpoint: C8 where the checkpoint has scales for it, else float32.
enum class KvCacheType : uint8_t { kCheckpoint, kFloat32, kBf16 };

class KvRounding {
 public:
  // `<module>.kv_cache_scale` and `.kv_cache_offset` [channels]; nothing where the checkpoint has
  // no such scale. Errors: CK-missing-tensor, LIN-shape, LIN-dtype; RUN-kv-scale for a scale that
  // is not positive and finite, or an offset that is no int8.
  static Result<std::optional<KvRounding>> Load(const Checkpoint& checkpoint,
                                                const std::string& module, uint64_t channels);

  // x [rows, channels], in place. NaN stays NaN.
  void Apply(float* x, uint64_t rows, ThreadPool& pool) const;

 private:
  std::vector<float> scale_;
  std::vector<float> inverse_;
  std::vector<float> offset_;
};

// Rounds `count` values to BF16.
void RoundToBf16(float* x, uint64_t count, ThreadPool& pool);

}  // namespace slim
