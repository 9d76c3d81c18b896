#include "kernels/math.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/exp_constants.h"

namespace slim {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// ln 2 in two parts of which the first times any exponent is exact.
constexpr double kLn2Short = 0x1.62e42fefp-1;
constexpr double kLn2ShortRest = 0x1.473de6af278edp-34;

// Round to an integer, ties to even, for |x| < 2^51, in the default rounding mode.
double RoundToInteger(double x) { return std::nearbyint(x); }

// 2^n for -1022 <= n <= 1023.
double PowerOfTwo(int n) { return std::bit_cast<double>(static_cast<uint64_t>(n + 1023) << 52); }

// A value as an unevaluated sum, |low| <= ulp(high) / 2.
struct Pair {
  double high;
  double low;
};

Pair FastSum(double large, double small) {
  const double sum = large + small;
  return {sum, small - (sum - large)};
}

Pair Sum(double a, double b) {
  const double sum = a + b;
  const double b_part = sum - a;
  return {sum, (a - (sum - b_part)) + (b - b_part)};
}

Pair Add(Pair a, Pair b) {
  const Pair high = Sum(a.high, b.high);
  return FastSum(high.high, high.low + (a.low + b.low));
}

Pair Multiply(Pair a, Pair b) {
  const double product = a.high * b.high;
  const double error = std::fma(a.high, b.high, -product);
  return FastSum(product, error + (a.high * b.low + a.low * b.high));
}

Pair Divide(Pair a, Pair b) {
  const double quotient = a.high / b.high;
  const double rest = std::fma(-quotient, b.high, a.high) + (a.low - quotient * b.low);
  return FastSum(quotient, rest / b.high);
}

// x = 2^exponent * mantissa with the mantissa in [sqrt(1/2), sqrt(2)), for finite x > 0.
struct Split {
  double mantissa;
  int exponent;
};

Split SplitNumber(double x) {
  int exponent = 0;
  if (x < std::numeric_limits<double>::min()) {
    x *= 0x1p54;
    exponent = -54;
  }
  const auto bits = std::bit_cast<uint64_t>(x);
  exponent += static_cast<int>(bits >> 52) - 1023;
  double mantissa = std::bit_cast<double>((bits & 0xFFFFFFFFFFFFFULL) | 0x3FF0000000000000ULL);
  if (mantissa > 0x1.6a09e667f3bcdp+0) {
    mantissa *= 0.5;
    ++exponent;
  }
  return {mantissa, exponent};
}

// log x = exponent * ln 2 + 2 atanh(s), s = (m - 1) / (m + 1), |s| < 0.172: s^2 falls by 2^-5 a
// term.
Pair LogPair(double x) {
  const Split split = SplitNumber(x);
  const Pair s = Divide({split.mantissa - 1.0, 0.0}, Sum(split.mantissa, 1.0));
  const Pair square = Multiply(s, s);
  Pair series{0.0, 0.0};
  for (int divisor = 29; divisor >= 1; divisor -= 2) {
    series = Add(Multiply(series, square), Divide({1.0, 0.0}, {static_cast<double>(divisor), 0.0}));
  }
  const Pair log = Multiply({2.0 * s.high, 2.0 * s.low}, series);
  const double e = split.exponent;
  return Add(Sum(e * kLn2Short, e * kLn2ShortRest), log);
}

// exp(x + low) for a low of at most an ulp of x; x not NaN.
double ExpSum(double x, double low) {
  if (x > kExpDHighest) return kInfinity;
  if (x < kExpDLowest) return 0.0;
  const double n = RoundToInteger(x * kLog2E);
  double r = std::fma(-n, kLn2High, x);
  r = std::fma(-n, kLn2Low, r) + low;
  double p = 0.0;
  for (const double factor : kExpDP) p = std::fma(p, r, factor);
  const double y = 1.0 + std::fma(p, r * r, r);
  const int exponent = static_cast<int>(n);
  const int half = exponent / 2;
  return y * PowerOfTwo(half) * PowerOfTwo(exponent - half);
}

// pi / 2 in three parts; x - n * kHalfPi1 is exact in one fused step.
constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;
constexpr double kHalfPi1 = 0x1.921fb54442d18p+0;
constexpr double kHalfPi2 = 0x1.1a62633145c07p-54;
constexpr double kHalfPi3 = -0x1.f1976b7ed8fbcp-110;

struct Angle {
  Pair rest;     // |rest| <= pi / 4 and a little
  int quadrant;  // 0..3
};

Angle ReduceAngle(double x) {
  const double n = RoundToInteger(x * kTwoOverPi);
  const double first = std::fma(-n, kHalfPi1, x);
  const double product = n * kHalfPi2;
  const double product_error = std::fma(n, kHalfPi2, -product);
  const Pair difference = Sum(first, -product);
  const double low = (difference.low - product_error) - n * kHalfPi3;
  return {FastSum(difference.high, low), static_cast<int>(static_cast<int64_t>(n) & 3)};
}

// Taylor series on |r| <= pi / 4, to r^19 and r^20; `low` enters through the derivative.
double SinOnQuarter(Pair r) {
  const double z = r.high * r.high;
  constexpr std::array kFactorials = {-121645100408832000.0,
                                      355687428096000.0,
                                      -1307674368000.0,
                                      6227020800.0,
                                      -39916800.0,
                                      362880.0,
                                      -5040.0,
                                      120.0,
                                      -6.0};
  double p = 0.0;
  for (const double factorial : kFactorials) p = std::fma(p, z, 1.0 / factorial);
  const double correction = std::fma(-0.5 * z, r.low, r.low);
  return r.high + std::fma(z * r.high, p, correction);
}

double CosOnQuarter(Pair r) {
  const double z = r.high * r.high;
  constexpr std::array kFactorials = {2432902008176640000.0,
                                      -6402373705728000.0,
                                      20922789888000.0,
                                      -87178291200.0,
                                      479001600.0,
                                      -3628800.0,
                                      40320.0,
                                      -720.0,
                                      24.0};
  double p = 0.0;
  for (const double factorial : kFactorials) p = std::fma(p, z, 1.0 / factorial);
  const double half = 0.5 * z;
  const double head = 1.0 - half;
  const double head_error = (1.0 - head) - half;
  return head + (head_error + std::fma(z * z, p, -(r.high * r.low)));
}

double SinOfQuadrant(const Angle& angle, int quadrant) {
  const double value = (quadrant & 1) != 0 ? CosOnQuarter(angle.rest) : SinOnQuarter(angle.rest);
  return (quadrant & 2) != 0 ? -value : value;
}

bool CanReduce(double x) { return std::fabs(x) <= 0x1p31; }

}  // namespace

float ExpF(float x) {
  if (std::isnan(x)) return x;
  const float clamped = std::fmin(std::fmax(x, kExpLowest), kExpHighest);
  const float n = std::nearbyint(clamped * kExpLog2E);
  float r = std::fma(-n, kExpLn2High, clamped);
  r = std::fma(-n, kExpLn2Low, r);
  float p = kExpP[4];
  for (int i = 3; i >= 0; --i) p = std::fma(p, r, kExpP[i]);
  const float y = 1.0F + std::fma(p, r * r, r);
  const int exponent = static_cast<int>(n);
  const int half = exponent >> 1;
  const auto power = [](int e) {
    return std::bit_cast<float>(static_cast<uint32_t>(e + 127) << 23);
  };
  return y * power(half) * power(exponent - half);
}

double ExpD(double x) { return std::isnan(x) ? x : ExpSum(x, 0.0); }

double LogD(double x) {
  if (std::isnan(x) || x == kInfinity) return x;
  if (x < 0.0) return kNan;
  if (x == 0.0) return -kInfinity;
  const Pair log = LogPair(x);
  return log.high + log.low;
}

double SinD(double x) {
  if (!CanReduce(x)) return kNan;
  if (x == 0.0) return x;
  const Angle angle = ReduceAngle(x);
  return SinOfQuadrant(angle, angle.quadrant);
}

double CosD(double x) {
  if (!CanReduce(x)) return kNan;
  const Angle angle = ReduceAngle(x);
  return SinOfQuadrant(angle, angle.quadrant + 1);
}

double PowD(double x, double y) {
  if (y == 0.0 || x == 1.0) return 1.0;
  if (std::isnan(x) || std::isnan(y) || x < 0.0) return kNan;
  if (x == 0.0) return y > 0.0 ? 0.0 : kInfinity;
  if (x == kInfinity) return y > 0.0 ? kInfinity : 0.0;
  if (std::isinf(y)) return (x > 1.0) == (y > 0.0) ? kInfinity : 0.0;
  const Pair log = LogPair(x);
  const double product = y * log.high;
  if (!(std::fabs(product) < 1000.0)) return product > 0.0 ? kInfinity : 0.0;
  const double low = std::fma(y, log.high, -product) + y * log.low;
  return ExpSum(product, low);
}

float RsqrtF(float x) { return 1.0F / std::sqrt(x); }

}  // namespace slim
