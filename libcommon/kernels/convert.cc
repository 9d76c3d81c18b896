#include "kernels/convert.h"

#include <array>
#include <cassert>
#include <cmath>
#include <cstring>

#include "dtype/scalar_convert.h"
#include "kernels/dispatch.h"
#include "kernels/exp_constants.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/convert.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/simd.inc"

HWY_BEFORE_NAMESPACE();
namespace slim {
namespace HWY_NAMESPACE {
namespace {

const uint16_t* Halves(const std::byte* bytes) { return reinterpret_cast<const uint16_t*>(bytes); }
uint16_t* Halves(std::byte* bytes) { return reinterpret_cast<uint16_t*>(bytes); }

void Bf16ToFloats(const std::byte* from, float* to, uint64_t count) {
  uint64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    hn::StoreU(Bf16BitsToFloat(hn::LoadU(U16(), Halves(from + 2 * i))), F(), to + i);
  }
  for (; i < count; ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, from + 2 * i, sizeof bits);
    to[i] = Bf16ToFloat(bits);
  }
}

void F16ToFloats(const std::byte* from, float* to, uint64_t count) {
  uint64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    const auto bits = hn::PromoteTo(U(), hn::LoadU(U16(), Halves(from + 2 * i)));
    hn::StoreU(F16BitsToFloat(bits), F(), to + i);
  }
  for (; i < count; ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, from + 2 * i, sizeof bits);
    to[i] = F16ToFloat(bits);
  }
}

void FloatsToBf16(const float* from, std::byte* to, uint64_t count) {
  uint64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    const auto bits = FloatToBf16Bits(hn::LoadU(F(), from + i));
    hn::StoreU(hn::TruncateTo(U16(), bits), U16(), Halves(to + 2 * i));
  }
  for (; i < count; ++i) {
    const uint16_t bits = FloatToBf16(from[i]);
    std::memcpy(to + 2 * i, &bits, sizeof bits);
  }
}

void FloatsToF16(const float* from, std::byte* to, uint64_t count) {
  uint64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    const auto bits = FloatToF16Bits(hn::LoadU(F(), from + i));
    hn::StoreU(hn::TruncateTo(U16(), bits), U16(), Halves(to + 2 * i));
  }
  for (; i < count; ++i) {
    const uint16_t bits = FloatToF16(from[i]);
    std::memcpy(to + 2 * i, &bits, sizeof bits);
  }
}

void RoundFloatsToBf16(float* values, uint64_t count) {
  for (uint64_t i = 0; i < count; i += kWidth) {
    StoreAt(RoundToBf16(LoadAt(F(), values, i, count)), F(), values, i, count);
  }
}

void RoundFloatsToF16(float* values, uint64_t count) {
  for (uint64_t i = 0; i < count; i += kWidth) {
    StoreAt(RoundToF16(LoadAt(F(), values, i, count)), F(), values, i, count);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace slim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace slim {

HWY_EXPORT(Bf16ToFloats);
HWY_EXPORT(F16ToFloats);
HWY_EXPORT(FloatsToBf16);
HWY_EXPORT(FloatsToF16);
HWY_EXPORT(RoundFloatsToBf16);
HWY_EXPORT(RoundFloatsToF16);

bool CanConvertToFloat(DType dtype) {
  return CanConvertFromFloat(dtype) || dtype == DType::kF8E4M3;
}

bool CanConvertFromFloat(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16;
}

void ToFloat(DType dtype, const std::byte* from, float* to, uint64_t count) {
  assert(CanConvertToFloat(dtype));
  if (dtype == DType::kBF16) {
    SLIM_DISPATCH(Bf16ToFloats)(from, to, count);
  } else if (dtype == DType::kF16) {
    SLIM_DISPATCH(F16ToFloats)(from, to, count);
  } else if (dtype == DType::kF8E4M3) {
    static const std::array<float, 256> kValues = [] {
      std::array<float, 256> values;
      for (uint32_t code = 0; code < values.size(); ++code)
        values[code] = F8E4M3ToFloat(static_cast<uint8_t>(code));
      return values;
    }();
    for (uint64_t i = 0; i < count; ++i) to[i] = kValues[static_cast<uint8_t>(from[i])];
  } else if (count != 0) {
    std::memcpy(to, from, count * sizeof(float));
  }
}

void FromFloat(DType dtype, const float* from, std::byte* to, uint64_t count) {
  assert(CanConvertFromFloat(dtype));
  if (dtype == DType::kBF16) {
    SLIM_DISPATCH(FloatsToBf16)(from, to, count);
  } else if (dtype == DType::kF16) {
    SLIM_DISPATCH(FloatsToF16)(from, to, count);
  } else if (count != 0) {
    std::memcpy(to, from, count * sizeof(float));
  }
}

void RoundToDType(DType dtype, float* values, uint64_t count) {
  assert(CanConvertFromFloat(dtype));
  if (dtype == DType::kBF16) {
    SLIM_DISPATCH(RoundFloatsToBf16)(values, count);
  } else if (dtype == DType::kF16) {
    SLIM_DISPATCH(RoundFloatsToF16)(values, count);
  }
}

}  // namespace slim
#endif  // HWY_ONCE
