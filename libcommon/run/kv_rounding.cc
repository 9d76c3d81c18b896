#include "run/kv_rounding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "dtype/scalar_convert.h"
#include "run/norm.h"

namespace slim {
namespace {

constexpr float kLowest = -128;
constexpr float kHighest = 127;

// [channels], or one value for all of them; a second dimension of 1 is as good as none.
Result<std::vector<float>> LoadChannels(const Checkpoint& checkpoint, const std::string& name,
                                        uint64_t channels) {
  const TensorEntry* entry = checkpoint.Find(name);
  if (entry != nullptr && entry->shape == Shape{1} && channels != 1) {
    SLIM_ASSIGN(const std::vector<float> one, LoadFloatVector(checkpoint, name, 1));
    return std::vector<float>(channels, one[0]);
  }
  return LoadFloatVector(checkpoint, name, channels);
}

Error BadValue(const Checkpoint& checkpoint, const std::string& name, std::string_view wanted,
               size_t channel, float value) {
  return InputError("RUN-kv-scale",
                    fmt::format("has {} for channel {}, wanted {}", value, channel, wanted),
                    "quantize the KV cache again")
      .WithTensor(name)
      .WithPath(checkpoint.path());
}

}  // namespace

Result<std::optional<KvRounding>> KvRounding::Load(const Checkpoint& checkpoint,
                                                   const std::string& module, uint64_t channels) {
  const std::string scale_name = module + ".kv_cache_scale";
  const std::string offset_name = module + ".kv_cache_offset";
  if (checkpoint.Find(scale_name) == nullptr) return std::optional<KvRounding>();
  KvRounding rounding;
  SLIM_ASSIGN(rounding.scale_, LoadChannels(checkpoint, scale_name, channels));
  rounding.offset_.assign(channels, 0.0F);
  if (checkpoint.Find(offset_name) != nullptr) {
    SLIM_ASSIGN(rounding.offset_, LoadChannels(checkpoint, offset_name, channels));
  }
  for (size_t i = 0; i < channels; ++i) {
    const float scale = rounding.scale_[i];
    const float offset = rounding.offset_[i];
    const float inverse = 1.0F / scale;
    if (!(scale > 0) || !std::isfinite(scale) || !std::isfinite(inverse))
      return BadValue(checkpoint, scale_name, "a positive scale", i, scale);
    if (!(offset >= kLowest && offset <= kHighest) || offset != std::nearbyint(offset))
      return BadValue(checkpoint, offset_name, "an integer from -128 to 127", i, offset);
    rounding.inverse_.push_back(inverse);
  }
  return std::optional<KvRounding>(std::move(rounding));
}

void KvRounding::Apply(float* x, uint64_t rows, ThreadPool& pool) const {
  const uint64_t channels = scale_.size();
  pool.ParallelFor(rows, std::max<uint64_t>(1, 4096 / channels), [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      float* row = x + i * channels;
      for (uint64_t j = 0; j < channels; ++j) {
        const float code =
            std::clamp(std::nearbyint(row[j] * inverse_[j] + offset_[j]), kLowest, kHighest);
        row[j] = (code - offset_[j]) * scale_[j];
      }
    }
  });
}

void RoundToBf16(float* x, uint64_t count, ThreadPool& pool) {
  pool.ParallelFor(count, 4096, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) x[i] = Bf16ToFloat(FloatToBf16(x[i]));
  });
}

}  // namespace slim
