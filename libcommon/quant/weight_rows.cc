#include "quant/weight_rows.h"

#include <atomic>
#include <vector>

#include "kernels/convert.h"
#include "kernels/reduce.h"

namespace slim {

void WeightRows::Load(uint64_t row, std::span<float> values) const {
  const uint64_t row_bytes = values.size() * (DTypeBits(weight.dtype) / 8);
  ToFloat(weight.dtype, weight.bytes.data() + row * row_bytes, values.data(), values.size());
  if (column_scale.empty()) return;
  for (size_t i = 0; i < values.size(); ++i) values[i] *= column_scale[i];
  RoundToDType(compute, values.data(), values.size());
}

bool RowsAreFinite(const WeightRows& rows, ThreadPool& pool) {
  constexpr uint64_t kRowsPerTask = 16;
  std::atomic<bool> finite = true;
  pool.ParallelFor(rows.n(), kRowsPerTask, [&](uint64_t begin, uint64_t end) {
    std::vector<float> row(rows.k());
    for (uint64_t i = begin; i < end && finite; ++i) {
      rows.Load(i, row);
      if (!AllFinite(row.data(), row.size())) finite = false;
    }
  });
  return finite;
}

}  // namespace slim
