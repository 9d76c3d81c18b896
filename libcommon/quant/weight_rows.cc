#include "quant/weight_rows.h"

#include <atomic>

#include "kernels/convert.h"
#include "kernels/scan.h"

namespace slim {

void WeightRows::Load(uint64_t row, std::span<float> values) const {
  const uint64_t row_bytes = values.size() * (DTypeBits(weight.dtype) / 8);
  ToFloat(weight.dtype, weight.bytes.data() + row * row_bytes, values.data(), values.size());
  if (column_scale.empty()) return;
  for (size_t i = 0; i < values.size(); ++i) values[i] *= column_scale[i];
  RoundToDType(compute, values.data(), values.size());
}

bool IsFinite(const TensorView& weight, ThreadPool& pool) {
  constexpr uint64_t kValuesPerTask = 1 << 18;
  const uint64_t width = DTypeBits(weight.dtype) / 8;
  std::atomic<bool> finite = true;
  pool.ParallelFor(weight.elements(), kValuesPerTask, [&](uint64_t begin, uint64_t end) {
    if (finite && !AllFinite(weight.dtype, weight.bytes.data() + begin * width, end - begin))
      finite = false;
  });
  return finite;
}

}  // namespace slim
