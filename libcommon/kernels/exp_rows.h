// Exponentials of rows of float32 in double: the bits of ExpD (kernels/math.h) on any instruction
// set. No NaN in a row.
#pragma once

#include <cstdint>

namespace slim {

// y[i] = ExpD(x[i] - subtrahend).
void ExpDifferences(const float* x, uint64_t count, double subtrahend, double* y);

// log Σ exp(x[i]) = LogD(Σ ExpD(x[i] - max)) + max, summed by rising i. count > 0.
double LogSumExp(const float* x, uint64_t count);

}  // namespace slim
