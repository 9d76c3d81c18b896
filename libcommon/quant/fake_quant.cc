#include "quant/fake_quant.h"

#include <algorithm>
#include <cmath>

#include "kernels/convert.h"
#include "kernels/quantize.h"
#include "kernels/reduce.h"

namespace slim {
namespace {

constexpr uint64_t kChunk = 4096;

}  // namespace

void FakeQuantizeInput(const ActivationSettings& settings,
                       const std::optional<QuantizationRange>& range, DType compute, const float* x,
                       uint64_t count, float* y, ThreadPool& pool) {
  const bool integer = settings.dtype == CodeType::kInt8 || settings.dtype == CodeType::kInt4;
  if (!integer || count == 0) {
    std::copy_n(x, count, y);
    return;
  }
  const int largest = settings.dtype == CodeType::kInt4 ? 7 : 127;
  QuantizationRange used;
  if (range && settings.granularity == Granularity::kPerTensor) {
    used = *range;
  } else {
    const MinMax all = FindMinMax(x, count);
    // pd_mix: the prefill side is symmetric.
    const bool symmetric = settings.symmetric || settings.granularity == Granularity::kPdMix;
    if (!symmetric && largest == 127) {
      used = AsymmetricInt8Range(all.min, all.max, compute);
    } else {
      const float absmax = std::max(std::fabs(all.min), std::fabs(all.max));
      used.scale = std::max(Rounded(absmax / static_cast<float>(largest), compute), 0x1p-23F);
    }
  }
  pool.ParallelFor((count + kChunk - 1) / kChunk, 1, [&](uint64_t begin, uint64_t end) {
    std::vector<int8_t> codes(kChunk);
    for (uint64_t chunk = begin; chunk < end; ++chunk) {
      const uint64_t first = chunk * kChunk;
      const uint64_t size = std::min(kChunk, count - first);
      QuantizeRow(x + first, size, used.scale, used.offset, compute, -largest - 1, largest,
                  codes.data());
      DequantizeRow(codes.data(), size, used.scale, used.offset, y + first);
      RoundToDType(compute, y + first, size);
    }
  });
}

Tensor DequantizedWeight(const LinearRecord& record, DType compute, ThreadPool& pool) {
  Tensor weight(DType::kF32, {record.n(), record.k()});
  const auto values = weight.as<float>();
  const uint64_t k = record.k();
  pool.ParallelFor(record.n(), 16, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      DequantizeWeightRow(record, i, values.subspan(i * k, k));
      RoundToDType(compute, values.data() + i * k, k);
    }
  });
  return weight;
}

}  // namespace slim
