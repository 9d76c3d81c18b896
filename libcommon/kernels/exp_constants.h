// The constants of ExpF and ExpD, shared by their scalar and vector forms, which run the same
// operations.
#pragma once

namespace slim {

// exp(x) = 2^n * exp(r), n = rne(x * kLog2E), r = x - n * ln 2 in two fused steps, |r| <= ln(2) /
// 2, and exp(r) = 1 + (r + r^2 * P(r)). P is our own weighted least-squares fit with a relative
// error of exp(r) below 2^-28.
constexpr float kExpLog2E = 0x1.715476p+0F;
constexpr float kExpLn2High = 0x1.62e43p-1F;
constexpr float kExpLn2Low = -0x1.05c61p-29F;
constexpr float kExpP[] = {0x1.fffffcp-2F, 0x1.555492p-3F, 0x1.5558f4p-5F, 0x1.123a2p-7F,
                           0x1.6a23c6p-10F};
// Beyond these every result is 0 or infinity; clamping keeps n in the range of an exponent.
constexpr float kExpLowest = -105.0F;
constexpr float kExpHighest = 90.0F;

// In double: P is the Taylor series, whose terms r^13 / 13! to r^2 / 2! stand here; the next one is
// below 2^-57 on |r| <= ln(2) / 2.
constexpr double kLog2E = 0x1.71547652b82fep+0;
constexpr double kLn2High = 0x1.62e42fefa39efp-1;
constexpr double kLn2Low = 0x1.abc9e3b39803fp-56;
constexpr double kExpDP[] = {1 / 6227020800.0, 1 / 479001600.0, 1 / 39916800.0, 1 / 3628800.0,
                             1 / 362880.0,     1 / 40320.0,     1 / 5040.0,     1 / 720.0,
                             1 / 120.0,        1 / 24.0,        1 / 6.0,        1 / 2.0};
// Outside of these the result is 0 or infinity.
constexpr double kExpDLowest = -745.2;
constexpr double kExpDHighest = 709.8;

}  // namespace slim
