#include "linear/mx.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "dtype/scalar_convert.h"
#include "kernels/convert.h"
#include "kernels/math.h"
#include "kernels/reduce.h"
#include "linear/fp8.h"

namespace slim {
namespace {

constexpr std::array<float, 8> kFp4Values = {0, 0.5F, 1, 1.5F, 2, 3, 4, 6};
constexpr float kFp4Max = 6.0F;
// What msModelSlim adds before a logarithm so that zero has one.
constexpr float kFp4Epsilon = 9.6e-7F;
constexpr int kFp8Emax = 8;
constexpr int kFp4Emax = 2;
constexpr int kBias = 127;
constexpr double kLn2 = 0x1.62e42fefa39efp-1;

// floor(log2 x) as a torch kernel gives it: the logarithm is rounded to float32 and to `compute`
// before the floor, so a value just below a power of two may count as that power.
int FloorLog2Rounded(float x, DType compute) {
  const auto log = static_cast<float>(LogD(static_cast<double>(x)) / kLn2);
  return static_cast<int>(std::floor(Rounded(log, compute)));
}

int FloorLog2(float x) {
  int exponent = 0;
  std::frexp(x, &exponent);
  return exponent - 1;
}

int WeightExponent(float amax, MxElement element, DType compute) {
  if (element == MxElement::kFp8) {
    const int exponent = FloorLog2Rounded(amax == 0 ? 0x1p-126F : amax, compute) - kFp8Emax;
    return std::max(exponent, -kBias);
  }
  // 1 − 0.5³: up to 7 · 2ᵉ stays in a block whose largest element is 6 · 2ᵉ.
  const float reached = Rounded(Rounded(amax / 0.875F, compute) + kFp4Epsilon, compute);
  return std::clamp(FloorLog2Rounded(reached, compute) - kFp4Emax, -kBias, 125);
}

// Half away from zero, unlike a cast.
uint8_t WeightToFp8(float y) {
  const float magnitude = std::fabs(y);
  const int exponent = magnitude == 0 ? -6 : std::max(FloorLog2(magnitude), -6);
  const float step = std::ldexp(1.0F, exponent - 3);
  const float rounded = std::floor(magnitude / step + 0.5F) * step;
  return FloatToF8E4M3(std::copysign(std::min(rounded, kFp8Max), y));
}

uint8_t Fp4Code(float magnitude, bool negative) {
  const auto found = std::lower_bound(kFp4Values.begin(), kFp4Values.end(), magnitude);
  return static_cast<uint8_t>((found - kFp4Values.begin()) | (negative ? 8 : 0));
}

uint8_t WeightToFp4(float y) {
  const float magnitude = std::fabs(y);
  const int exponent = std::clamp(FloorLog2(magnitude + kFp4Epsilon), 0, 2);
  const float step = std::ldexp(0.5F, exponent);
  return Fp4Code(std::min(std::floor(magnitude / step + 0.5F) * step, kFp4Max), std::signbit(y));
}

float RoundToFp4(float y) {
  const float magnitude = std::fabs(y);
  const float step = magnitude < 2 ? 0.5F : magnitude < 4 ? 1.0F : 2.0F;
  return std::copysign(std::min(std::nearbyint(magnitude / step) * step, kFp4Max), y);
}

float RoundToFp8(float y) { return F8E4M3ToFloat(FloatToF8E4M3(std::clamp(y, -kFp8Max, kFp8Max))); }

}  // namespace

void QuantizeRowMx(std::span<const float> values, MxElement element, DType compute,
                   std::span<uint8_t> codes, std::span<uint8_t> exponents) {
  for (size_t block = 0; block < exponents.size(); ++block) {
    const size_t begin = block * kMxBlock;
    const size_t count = std::min<size_t>(kMxBlock, values.size() - begin);
    const int exponent = WeightExponent(AbsMax(values.data() + begin, count), element, compute);
    exponents[block] = static_cast<uint8_t>(exponent + kBias);
    for (size_t i = begin; i < begin + count; ++i) {
      const float y = std::ldexp(values[i], -exponent);
      codes[i] = element == MxElement::kFp8 ? WeightToFp8(y) : WeightToFp4(y);
    }
  }
}

void RoundRowToMx(std::span<float> values, MxElement element) {
  const int emax = element == MxElement::kFp8 ? kFp8Emax : kFp4Emax;
  for (size_t begin = 0; begin < values.size(); begin += kMxBlock) {
    const size_t count = std::min<size_t>(kMxBlock, values.size() - begin);
    const float amax = AbsMax(values.data() + begin, count);
    if (amax == 0) continue;
    const int exponent = std::clamp(FloorLog2(amax) - emax, -kBias, kBias);
    for (size_t i = begin; i < begin + count; ++i) {
      const float y = std::ldexp(values[i], -exponent);
      const float rounded = element == MxElement::kFp8 ? RoundToFp8(y) : RoundToFp4(y);
      values[i] = std::ldexp(rounded, exponent);
    }
  }
}

float MxElementToFloat(uint8_t code, MxElement element) {
  if (element == MxElement::kFp8) return F8E4M3ToFloat(code);
  const float magnitude = kFp4Values[code & 7U];
  return (code & 8U) != 0 ? -magnitude : magnitude;
}

void DequantizeRowMx(std::span<const uint8_t> codes, MxElement element,
                     std::span<const uint8_t> exponents, std::span<float> values) {
  for (size_t i = 0; i < codes.size(); ++i) {
    values[i] = std::ldexp(MxElementToFloat(codes[i], element), exponents[i / kMxBlock] - kBias);
  }
}

Result<Tensor> PackFp4(const Tensor& codes) {
  const uint64_t k = codes.shape[1];
  if (k % 2 != 0) {
    return InputError("LIN-odd",
                      fmt::format("has k = {}, packing two columns a byte needs an even number of "
                                  "inputs",
                                  k),
                      "keep the layer in float or at 8 bits");
  }
  Tensor packed(DType::kU8, {codes.shape[0], k / 2});
  const auto from = codes.as<uint8_t>();
  const auto to = packed.as<uint8_t>();
  for (size_t i = 0; i < to.size(); ++i)
    to[i] =
        static_cast<uint8_t>((from[2 * i] & 0xFU) | (static_cast<unsigned>(from[2 * i + 1]) << 4U));
  return packed;
}

Tensor UnpackFp4(const Tensor& packed) {
  Tensor codes(DType::kU8, {packed.shape[0], packed.shape[1] * 2});
  const auto from = packed.as<uint8_t>();
  const auto to = codes.as<uint8_t>();
  for (size_t i = 0; i < from.size(); ++i) {
    to[2 * i] = from[i] & 0xFU;
    to[2 * i + 1] = from[i] >> 4U;
  }
  return codes;
}

}  // namespace slim
