#include "diff/row_errors.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace slim {

void ErrorSums::Add(const ErrorSums& more) {
  signal += more.signal;
  other += more.other;
  dot += more.dot;
  noise += more.noise;
  max_abs = std::max(max_abs, more.max_abs);
}

ErrorFigures ErrorSums::Figures() const {
  ErrorFigures figures;
  figures.max_abs = max_abs;
  figures.sqnr_db =
      noise == 0 ? std::numeric_limits<double>::infinity() : 10 * std::log10(signal / noise);
  if (signal == 0 || other == 0) {
    figures.cosine = signal == other ? 1 : 0;
  } else {
    figures.cosine = std::clamp(dot / std::sqrt(signal * other), -1.0, 1.0);
  }
  return figures;
}

ErrorSums CompareRows(const float* wanted, const float* found, uint64_t rows, uint64_t width,
                      std::span<const float> scale, ThreadPool& pool) {
  std::vector<ErrorSums> parts(rows);
  pool.ParallelFor(rows, std::max<uint64_t>(1, 16384 / width), [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      const float* a = wanted + i * width;
      const float* b = found + i * width;
      ErrorSums sums;
      for (uint64_t j = 0; j < width; ++j) {
        const double value = scale.empty() ? b[j] : static_cast<double>(b[j]) / scale[j];
        sums.AddPair(a[j], value);
      }
      parts[i] = sums;
    }
  });
  ErrorSums total;
  for (const ErrorSums& part : parts) total.Add(part);
  return total;
}

}  // namespace slim
