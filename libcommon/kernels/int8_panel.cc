#include "kernels/int8_panel.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/dispatch.h"
#include "kernels/isa.h"
#include "kernels/packed_matrix.h"
#include "kernels/prefetch.h"

#include <hwy/base.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace slim {
namespace {

#if defined(__x86_64__)

// Four codes as int16, for instruction sets whose products of bytes would saturate.
int64_t WidenToInt16(int32_t codes) {
  int64_t wide = 0;
  for (int i = 0; i < 4; ++i) {
    const auto code = static_cast<int8_t>(codes >> (8 * i));
    wide |= static_cast<int64_t>(static_cast<uint16_t>(int16_t{code})) << (16 * i);
  }
  return wide;
}

// vpdpbusd adds four products of an unsigned and a signed byte to an int32. Twelve rows by two
// vectors: 24 sums, 2 vectors of weights and the codes of 32 registers.
HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512vnni")
namespace vnni {
struct Ops {
  using Value = int32_t;
  using Step = int32_t;
  using Sum = __m512i;
  using Weights = __m512i;
  static constexpr uint64_t kColumns = 16;
  static constexpr uint64_t kVectors = 2;
  static constexpr uint64_t kMostRows = 12;
  static HWY_INLINE Step Widen(int32_t codes) { return codes; }
  static HWY_INLINE Sum Start(int32_t start) { return _mm512_set1_epi32(start); }
  static HWY_INLINE Weights Load(const std::byte* w) { return _mm512_loadu_si512(w); }
  static HWY_INLINE __m512i Spread(const Step* x) { return _mm512_set1_epi32(*x); }
  static HWY_INLINE Sum Add(Sum sum, Weights w, __m512i x) {
    return _mm512_dpbusd_epi32(sum, w, x);
  }
  static HWY_INLINE void Store(Sum sum, int32_t* y) { _mm512_storeu_si512(y, sum); }
};
#include "kernels/dot_panel.inc"
}  // namespace vnni
HWY_POP_ATTRIBUTES

// Products of bytes widened to int16 never saturate in vpmaddwd, which adds them in pairs: a sum
// has two halves a column, of which the first starts at what the whole does. Six rows by two
// vectors: 12 sums, 2 of weights, codes, one free.
HWY_PUSH_ATTRIBUTES("avx2")
namespace avx2 {
struct Ops {
  using Value = int32_t;
  using Step = int64_t;
  using Sum = __m256i;
  using Weights = __m256i;
  static constexpr uint64_t kColumns = 4;
  static constexpr uint64_t kVectors = 2;
  static constexpr uint64_t kMostRows = 6;
  static HWY_INLINE Step Widen(int32_t codes) { return WidenToInt16(codes); }
  static HWY_INLINE Sum Start(int32_t start) {
    return _mm256_set1_epi64x(static_cast<uint32_t>(start));
  }
  static HWY_INLINE Weights Load(const std::byte* w) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w)));
  }
  static HWY_INLINE __m256i Spread(const Step* x) { return _mm256_set1_epi64x(*x); }
  static HWY_INLINE Sum Add(Sum sum, Weights w, __m256i x) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(w, x));
  }
  static HWY_INLINE void Store(Sum sum, int32_t* y) {
    const __m128i sums =
        _mm_hadd_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y), sums);
  }
};
#include "kernels/dot_panel.inc"
}  // namespace avx2
HWY_POP_ATTRIBUTES

// The same in the baseline of x86-64-v2.
namespace baseline {
struct Ops {
  using Value = int32_t;
  using Step = int64_t;
  using Sum = __m128i;
  using Weights = __m128i;
  static constexpr uint64_t kColumns = 2;
  static constexpr uint64_t kVectors = 2;
  static constexpr uint64_t kMostRows = 6;
  static HWY_INLINE Step Widen(int32_t codes) { return WidenToInt16(codes); }
  static HWY_INLINE Sum Start(int32_t start) {
    return _mm_set1_epi64x(static_cast<uint32_t>(start));
  }
  static HWY_INLINE Weights Load(const std::byte* w) {
    return _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(w)));
  }
  static HWY_INLINE __m128i Spread(const Step* x) { return _mm_set1_epi64x(*x); }
  static HWY_INLINE Sum Add(Sum sum, Weights w, __m128i x) {
    return _mm_add_epi32(sum, _mm_madd_epi16(w, x));
  }
  static HWY_INLINE void Store(Sum sum, int32_t* y) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(y), _mm_hadd_epi32(sum, sum));
  }
};
#include "kernels/dot_panel.inc"
}  // namespace baseline

#elif defined(__aarch64__)

// vdotq_s32 multiplies signed codes and adds in int32. Six rows by four vectors: 24 sums, 4 vectors
// of weights and the codes of 32 registers.
HWY_PUSH_ATTRIBUTES("arch=armv8.2-a+dotprod")
namespace dotprod {
struct Ops {
  using Value = int32_t;
  using Step = int32_t;
  using Sum = int32x4_t;
  using Weights = int8x16_t;
  static constexpr uint64_t kColumns = 4;
  static constexpr uint64_t kVectors = 4;
  static constexpr uint64_t kMostRows = 6;
  static HWY_INLINE Step Widen(int32_t codes) { return codes; }
  static HWY_INLINE Sum Start(int32_t) { return vdupq_n_s32(0); }
  static HWY_INLINE Weights Load(const std::byte* w) {
    return vld1q_s8(reinterpret_cast<const int8_t*>(w));
  }
  static HWY_INLINE int8x16_t Spread(const Step* x) {
    return vreinterpretq_s8_s32(vdupq_n_s32(*x));
  }
  static HWY_INLINE Sum Add(Sum sum, Weights w, int8x16_t x) { return vdotq_s32(sum, w, x); }
  static HWY_INLINE void Store(Sum sum, int32_t* y) { vst1q_s32(y, sum); }
};
#include "kernels/dot_panel.inc"
}  // namespace dotprod
HWY_POP_ATTRIBUTES

// A product of two int8 fits in int16, pairs of them are added in int32: two halves a column.
namespace baseline {
struct Ops {
  using Value = int32_t;
  using Step = int32_t;
  using Sum = int32x4_t;
  using Weights = int8x8_t;
  static constexpr uint64_t kColumns = 2;
  static constexpr uint64_t kVectors = 4;
  static constexpr uint64_t kMostRows = 6;
  static HWY_INLINE Step Widen(int32_t codes) { return codes; }
  static HWY_INLINE Sum Start(int32_t) { return vdupq_n_s32(0); }
  static HWY_INLINE Weights Load(const std::byte* w) {
    return vld1_s8(reinterpret_cast<const int8_t*>(w));
  }
  static HWY_INLINE int8x8_t Spread(const Step* x) { return vreinterpret_s8_s32(vdup_n_s32(*x)); }
  static HWY_INLINE Sum Add(Sum sum, Weights w, int8x8_t x) {
    return vpadalq_s16(sum, vmull_s8(w, x));
  }
  static HWY_INLINE void Store(Sum sum, int32_t* y) {
    vst1_s32(y, vpadd_s32(vget_low_s32(sum), vget_high_s32(sum)));
  }
};
#include "kernels/dot_panel.inc"
}  // namespace baseline

#endif

}  // namespace

const Int8Kernels& ChooseInt8Kernels() {
#if defined(__x86_64__)
  const Isa isa = CurrentIsa();
  // AVX-512 without VNNI exists; two 256-bit products a cycle serve it well enough.
  if (isa == Isa::kAvx512 && __builtin_cpu_supports("avx512vnni")) return vnni::kKernels;
  if (isa != Isa::kScalar) return avx2::kKernels;
#elif defined(__aarch64__)
  if (CurrentIsa() == Isa::kDotprod) return dotprod::kKernels;
#endif
  return baseline::kKernels;
}

}  // namespace slim
