// The constants of ExpF, shared by its scalar and its vector form, which run the same operations.
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

}  // namespace slim
