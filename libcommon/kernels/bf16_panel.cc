#include "kernels/bf16_panel.h"

#include <hwy/base.h>

#include <cstring>
#include <utility>

#include "kernels/isa.h"
#include "kernels/packed_matrix.h"
#include "kernels/prefetch.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace slim {
namespace {

#if defined(__x86_64__)

// vdpbf16ps adds two products of bf16 to a float. Twelve rows by two vectors, as in int8_panel.cc.
HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512bf16")
namespace avx512bf16 {
struct Ops {
  using Value = float;
  using Step = int32_t;
  using Sum = __m512;
  using Weights = __m512i;
  static constexpr uint64_t kColumns = 16;
  static constexpr uint64_t kVectors = 2;
  static constexpr uint64_t kMostRows = 12;
  static HWY_INLINE Step Widen(int32_t pair) { return pair; }
  static HWY_INLINE Sum Start(float start) { return _mm512_set1_ps(start); }
  static HWY_INLINE Weights Load(const std::byte* w) { return _mm512_loadu_si512(w); }
  static HWY_INLINE __m512i Spread(const Step* x) { return _mm512_set1_epi32(*x); }
  static HWY_INLINE Sum Add(Sum sum, Weights w, __m512i x) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(w), reinterpret_cast<__m512bh>(x));
  }
  static HWY_INLINE void Store(Sum sum, float* y) { _mm512_storeu_ps(y, sum); }
};
#include "kernels/dot_panel.inc"
}  // namespace avx512bf16
HWY_POP_ATTRIBUTES

#endif

}  // namespace

const Bf16Kernels* FindBf16Kernels() {
#if defined(__x86_64__)
  if (CurrentIsa() == Isa::kAvx512 && __builtin_cpu_supports("avx512bf16"))
    return &avx512bf16::kKernels;
#endif
  return nullptr;
}

}  // namespace slim
