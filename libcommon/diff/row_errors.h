// How far rows of numbers are from the rows they should be: sums that add up over many rows, and
// the figures they give. Float64, rows summed in order: the same bits for any number of threads.
#pragma once

#include <cstdint>
#include <span>

#include "parallel/thread_pool.h"

namespace slim {

// SQNR is 10 log10(Σ a² / Σ (a − b)²) in decibels, infinite for equal rows; cosine Σ ab / (|a||b|),
// 1 when both are zero, 0 when one is.
struct ErrorFigures {
  double sqnr_db = 0;
  double cosine = 0;
  double max_abs = 0;  // max |a − b|
};

struct ErrorSums {
  double signal = 0;  // Σ a²
  double other = 0;   // Σ b²
  double dot = 0;     // Σ ab
  double noise = 0;   // Σ (a − b)²
  double max_abs = 0;

  void Add(const ErrorSums& more);
  void AddPair(double a, double b) {
    const double difference = a - b;
    signal += a * a;
    other += b * b;
    dot += a * b;
    noise += difference * difference;
    max_abs = difference > max_abs ? difference : (-difference > max_abs ? -difference : max_abs);
  }
  ErrorFigures Figures() const;
};

// `wanted` and `found` are [rows, width]. `scale` has width values that found is divided by, or
// none.
ErrorSums CompareRows(const float* wanted, const float* found, uint64_t rows, uint64_t width,
                      std::span<const float> scale, ThreadPool& pool);

}  // namespace slim
