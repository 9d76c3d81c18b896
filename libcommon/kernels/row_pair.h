// What comparing two rows of logits sums up, in float64. Element i goes to lane i mod 8, lanes are
// added as a fixed tree: the same bits on any instruction set. Knows no metric.
#pragma once

#include <cstdint>

namespace slim {

struct RowPairSums {
  double product = 0;        // Σ a b
  double first_square = 0;   // Σ a²
  double second_square = 0;  // Σ b²
  double squared_error = 0;  // Σ (a − b)²
};
RowPairSums SumRowPair(const float* a, const float* b, uint64_t count);

struct RowPairExponentials {
  double first = 0;     // Σ exp(a − a_max)
  double second = 0;    // Σ exp(b − b_max)
  double weighted = 0;  // Σ exp(a − a_max) · ((a − a_max) − (b − b_max))
};
// The exponentials are those of ExpD.
RowPairExponentials SumExponentials(const float* a, double a_max, const float* b, double b_max,
                                    uint64_t count);

// How many values are above `bound`.
uint64_t CountAbove(const float* x, uint64_t count, float bound);

}  // namespace slim
