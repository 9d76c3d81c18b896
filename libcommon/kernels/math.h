// Elementary functions of our own, because libm's bits differ between systems. Defined by sequences
// of IEEE operations and fused multiply-adds, so every machine gives the same bits. Not correctly
// rounded: bounds are stated and tested.
#pragma once

namespace slim {

// Within 1 ulp; overflows to inf, underflows gradually to 0.
float ExpF(float x);
// Within 2 ulp; special cases as in C's Annex F.
double ExpD(double x);
double LogD(double x);
// Within 2 ulp for |x| <= 2^31; NaN beyond, where the argument reduction ends.
double SinD(double x);
double CosD(double x);
// Within 2 ulp for x > 0. x < 0 is NaN even for an integral y; x == 0 gives 0 or inf, y == 0
// gives 1.
double PowD(double x, double y);
// 1 / sqrt(x), both operations correctly rounded.
float RsqrtF(float x);

}  // namespace slim
