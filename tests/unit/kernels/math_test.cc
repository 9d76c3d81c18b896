#include "kernels/math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include "every_isa.h"

namespace slim {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr float kInfF = std::numeric_limits<float>::infinity();

// Distance in units of the last place of the result's type; `exact` comes from libm in a wider
// type.
double UlpError(float value, double exact) {
  const double ulp = std::ldexp(1.0, std::max(std::ilogb(exact), -126) - 23);
  return std::fabs((static_cast<double>(value) - exact) / ulp);
}

double UlpError(double value, long double exact) {
  const long double ulp = std::ldexp(1.0L, std::max(std::ilogb(exact), -1022) - 52);
  return static_cast<double>(std::fabs((static_cast<long double>(value) - exact) / ulp));
}

template <class Ours, class Exact>
double WorstError(double from, double to, int count, const Ours& ours, const Exact& exact) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> uniform(from, to);
  double worst = 0;
  for (int i = 0; i < count; ++i) {
    const double x = uniform(random);
    worst = std::max(worst, UlpError(ours(x), exact(static_cast<long double>(x))));
  }
  return worst;
}

TEST(ExpF, WithinOneUlpOverItsWholeRange) {
  double worst = 0;
  for (float x = -103.9F; x < 88.72F; x += 0.00037F) {
    worst = std::max(worst, UlpError(ExpF(x), std::exp(static_cast<double>(x))));
  }
  EXPECT_LE(worst, 1.0);
}

TEST(ExpF, Edges) {
  EXPECT_EQ(ExpF(0.0F), 1.0F);
  EXPECT_EQ(ExpF(-0.0F), 1.0F);
  EXPECT_EQ(ExpF(kInfF), kInfF);
  EXPECT_EQ(ExpF(-kInfF), 0.0F);
  EXPECT_TRUE(std::isnan(ExpF(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_TRUE(std::isfinite(ExpF(0x1.62e42ep+6F)));  // the largest x below ln(FLT_MAX)
  EXPECT_EQ(ExpF(0x1.62e430p+6F), kInfF);
  EXPECT_EQ(ExpF(1e30F), kInfF);
  EXPECT_EQ(ExpF(-1e30F), 0.0F);
  EXPECT_EQ(ExpF(-103.9F), std::numeric_limits<float>::denorm_min());
  EXPECT_EQ(ExpF(-104.0F), 0.0F);
}

TEST(ExpD, WithinTwoUlp) {
  const auto exact = [](long double x) { return std::exp(x); };
  EXPECT_LE(WorstError(-708, 709.7, 200000, ExpD, exact), 2.0);
  EXPECT_LE(WorstError(-745, -708, 20000, ExpD, exact), 2.0);
  EXPECT_LE(WorstError(-0.1, 0.1, 50000, ExpD, exact), 2.0);
}

TEST(ExpD, Edges) {
  EXPECT_EQ(ExpD(0.0), 1.0);
  EXPECT_EQ(ExpD(kInf), kInf);
  EXPECT_EQ(ExpD(-kInf), 0.0);
  EXPECT_EQ(ExpD(709.79), kInf);
  EXPECT_TRUE(std::isfinite(ExpD(709.78)));
  EXPECT_EQ(ExpD(-745.13), std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(ExpD(-746.0), 0.0);
  EXPECT_TRUE(std::isnan(ExpD(std::nan(""))));
}

TEST(LogD, WithinTwoUlp) {
  const auto exact = [](long double x) { return std::log(x); };
  EXPECT_LE(WorstError(0.5, 2, 200000, LogD, exact), 2.0);
  EXPECT_LE(WorstError(0.999, 1.001, 100000, LogD, exact), 2.0);
  EXPECT_LE(WorstError(1e-300, 1e-290, 10000, LogD, exact), 2.0);
  EXPECT_LE(WorstError(1, 1e300, 10000, LogD, exact), 2.0);
  EXPECT_LE(WorstError(1e-320, 1e-310, 10000, LogD, exact), 2.0);
}

TEST(LogD, Edges) {
  EXPECT_EQ(LogD(1.0), 0.0);
  EXPECT_EQ(LogD(0.0), -kInf);
  EXPECT_EQ(LogD(-0.0), -kInf);
  EXPECT_EQ(LogD(kInf), kInf);
  EXPECT_TRUE(std::isnan(LogD(-1.0)));
  EXPECT_TRUE(std::isnan(LogD(-kInf)));
  EXPECT_EQ(LogD(2.0), 0x1.62e42fefa39efp-1);
}

TEST(SinD, SineAndCosineWithinTwoUlp) {
  const auto exact_sin = [](long double x) { return std::sin(x); };
  const auto exact_cos = [](long double x) { return std::cos(x); };
  for (const double range : {1.0, 10.0, 1000.0, 1e6}) {
    EXPECT_LE(WorstError(-range, range, 100000, SinD, exact_sin), 2.0) << range;
    EXPECT_LE(WorstError(-range, range, 100000, CosD, exact_cos), 2.0) << range;
  }
}

// Doubles near multiples of pi/2, where the reduction cancels most. libm's long double sine keeps
// 64 bits there.
TEST(SinD, NearMultiplesOfAQuarterTurn) {
  for (int n = 1; n < 600000; n += 97) {
    const double x = n * 0x1.921fb54442d18p+0;
    const auto wide = static_cast<long double>(x);
    ASSERT_LE(UlpError(SinD(x), std::sin(wide)), 2.0) << n;
    ASSERT_LE(UlpError(CosD(x), std::cos(wide)), 2.0) << n;
  }
}

TEST(SinD, Edges) {
  EXPECT_EQ(SinD(0.0), 0.0);
  EXPECT_TRUE(std::signbit(SinD(-0.0)));
  EXPECT_EQ(CosD(0.0), 1.0);
  EXPECT_EQ(SinD(-3.0), -SinD(3.0));
  EXPECT_EQ(CosD(-3.0), CosD(3.0));
  EXPECT_TRUE(std::isnan(SinD(kInf)));
  EXPECT_TRUE(std::isnan(CosD(1e300)));
}

TEST(PowD, WithinTwoUlpForRopeBases) {
  double worst = 0;
  for (const double base : {10000.0, 500000.0, 1e6, 5e6, 1e7, 1.5e8, 0.1, 1.0000001, 8.0}) {
    for (const int dimension : {64, 80, 128, 256}) {
      for (int i = 0; i < dimension; i += 2) {
        const double y = -static_cast<double>(i) / dimension;
        const long double exact =
            std::pow(static_cast<long double>(base), static_cast<long double>(y));
        worst = std::max(worst, UlpError(PowD(base, y), exact));
      }
    }
  }
  EXPECT_LE(worst, 2.0);
}

TEST(PowD, WithinTwoUlpAnywhere) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> exponents(-300, 300);
  double worst = 0;
  for (int i = 0; i < 50000; ++i) {
    const double x =
        std::ldexp(1.0 + exponents(random) / 700, static_cast<int>(exponents(random) / 3));
    const double y = exponents(random) / 50;
    const long double exact = std::pow(static_cast<long double>(x), static_cast<long double>(y));
    if (!(exact > 1e-300L && exact < 1e300L)) continue;
    worst = std::max(worst, UlpError(PowD(x, y), exact));
  }
  EXPECT_LE(worst, 2.0);
}

TEST(PowD, Edges) {
  EXPECT_EQ(PowD(7.0, 0.0), 1.0);
  EXPECT_EQ(PowD(1.0, kInf), 1.0);
  EXPECT_EQ(PowD(0.0, 2.0), 0.0);
  EXPECT_EQ(PowD(0.0, -2.0), kInf);
  EXPECT_EQ(PowD(10.0, 400.0), kInf);
  EXPECT_EQ(PowD(10.0, -400.0), 0.0);
  EXPECT_EQ(PowD(2.0, 1e300), kInf);
  EXPECT_EQ(PowD(0.5, kInf), 0.0);
  EXPECT_EQ(PowD(2.0, -kInf), 0.0);
  EXPECT_EQ(PowD(kInf, -1.0), 0.0);
  EXPECT_TRUE(std::isnan(PowD(-2.0, 2.0)));
  EXPECT_EQ(PowD(2.0, 10.0), 1024.0);
  EXPECT_EQ(PowD(2.0, -1074.0), std::numeric_limits<double>::denorm_min());
}

TEST(RsqrtF, TwoCorrectlyRoundedSteps) {
  EXPECT_EQ(RsqrtF(4.0F), 0.5F);
  EXPECT_EQ(RsqrtF(2.0F), 1.0F / 0x1.6a09e6p+0F);
  EXPECT_EQ(RsqrtF(0.0F), kInfF);
}

}  // namespace
}  // namespace slim
