#include "kernels/int8_dot.h"

#include "kernels/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace slim {
namespace {

int32_t DotPlain(const int8_t* x, const int8_t* w, uint64_t k) {
  int32_t sum = 0;
  for (uint64_t l = 0; l < k; ++l) sum += int32_t{x[l]} * int32_t{w[l]};
  return sum;
}

#if defined(__SSE4_1__)

// The baseline of x86-64-v2; products of int8 widened to int16 never saturate in pmaddwd.
int32_t DotBaseline(const int8_t* x, const int8_t* w, uint64_t k) {
  const auto load = [](const int8_t* from) {
    return _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  };
  __m128i sum = _mm_setzero_si128();
  uint64_t l = 0;
  for (; l + 8 <= k; l += 8) {
    sum = _mm_add_epi32(sum, _mm_madd_epi16(load(x + l), load(w + l)));
  }
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
  return _mm_cvtsi128_si32(sum) + DotPlain(x + l, w + l, k - l);
}

#elif defined(__aarch64__)

// The baseline of Armv8.0; a product of two int8 fits in int16, pairs of them are added in int32.
int32_t DotBaseline(const int8_t* x, const int8_t* w, uint64_t k) {
  int32x4_t sum = vdupq_n_s32(0);
  uint64_t l = 0;
  for (; l + 8 <= k; l += 8) sum = vpadalq_s16(sum, vmull_s8(vld1_s8(x + l), vld1_s8(w + l)));
  return vaddvq_s32(sum) + DotPlain(x + l, w + l, k - l);
}

#else

int32_t DotBaseline(const int8_t* x, const int8_t* w, uint64_t k) { return DotPlain(x, w, k); }

#endif

void BlockScalar(const Int8Block& b) {
  for (uint64_t i = 0; i < b.t; ++i) {
    for (uint64_t j = 0; j < b.n; ++j) {
      b.y[i * b.y_stride + j] = DotBaseline(b.x + i * b.k, b.w + j * b.k, b.k);
    }
  }
}

#if defined(__x86_64__) || defined(__aarch64__)

// What a tile of kRows x kColumns sums left of k behind its whole vectors.
template <uint64_t kRows, uint64_t kColumns>
void AddTail(const Int8Block& b, uint64_t i, uint64_t j, uint64_t from) {
  for (uint64_t r = 0; r < kRows; ++r) {
    for (uint64_t c = 0; c < kColumns; ++c) {
      b.y[(i + r) * b.y_stride + j + c] +=
          DotPlain(b.x + (i + r) * b.k + from, b.w + (j + c) * b.k + from, b.k - from);
    }
  }
}

#endif

#if defined(__x86_64__)

#define SLIM_AVX2 [[gnu::target("avx2")]]
#define SLIM_VNNI [[gnu::target("avx512f,avx512bw,avx512vl,avx512vnni")]]

SLIM_AVX2 inline int32_t SumLanes(__m256i v) {
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
  return _mm_cvtsi128_si32(sum);
}

SLIM_AVX2 inline __m256i LoadWide(const int8_t* from) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

// Products of int8 widened to int16 never saturate in vpmaddwd.
template <uint64_t kRows, uint64_t kColumns>
SLIM_AVX2 void TileAvx2(const Int8Block& b, uint64_t i, uint64_t j) {
  __m256i sum[kRows][kColumns];
#pragma GCC unroll 4
  for (uint64_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (uint64_t c = 0; c < kColumns; ++c) sum[r][c] = _mm256_setzero_si256();
  }
  uint64_t l = 0;
  for (; l + 16 <= b.k; l += 16) {
    __m256i w[kColumns];
#pragma GCC unroll 4
    for (uint64_t c = 0; c < kColumns; ++c) w[c] = LoadWide(b.w + (j + c) * b.k + l);
#pragma GCC unroll 4
    for (uint64_t r = 0; r < kRows; ++r) {
      const __m256i x = LoadWide(b.x + (i + r) * b.k + l);
#pragma GCC unroll 4
      for (uint64_t c = 0; c < kColumns; ++c) {
        sum[r][c] = _mm256_add_epi32(sum[r][c], _mm256_madd_epi16(x, w[c]));
      }
    }
  }
#pragma GCC unroll 4
  for (uint64_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (uint64_t c = 0; c < kColumns; ++c) b.y[(i + r) * b.y_stride + j + c] = SumLanes(sum[r][c]);
  }
  if (l < b.k) AddTail<kRows, kColumns>(b, i, j, l);
}

// Masked extracts, because the plain ones trip GCC 12's -Wuninitialized (GCC bug 105593).
SLIM_VNNI inline __m256i FoldHalves(__m512i v) {
  return _mm256_add_epi32(_mm512_maskz_extracti64x4_epi64(0xFF, v, 0),
                          _mm512_maskz_extracti64x4_epi64(0xFF, v, 1));
}

// The sums of four vectors, in order.
SLIM_AVX2 inline __m128i SumFour(__m256i a, __m256i b, __m256i c, __m256i d) {
  const __m256i ab = _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
  const __m256i cd = _mm256_add_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
  const __m256i abcd =
      _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
  return _mm_add_epi32(_mm256_castsi256_si128(abcd), _mm256_extracti128_si256(abcd, 1));
}

// One step of 64 codes, `mask` saying which are there. vpdpbusd wants one unsigned operand: w + 128
// is one, and 128 times the sum of x is taken off in the end. A missing x is 0 and adds nothing.
template <uint64_t kRows, uint64_t kColumns>
SLIM_VNNI inline void StepVnni(const Int8Block& b, const int8_t* x, const int8_t* w, __mmask64 mask,
                               __m512i (&sum)[kRows][kColumns]) {
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
  __m512i shifted[kColumns];
#pragma GCC unroll 4
  for (uint64_t c = 0; c < kColumns; ++c) {
    shifted[c] = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, w + c * b.k), flip);
  }
#pragma GCC unroll 6
  for (uint64_t r = 0; r < kRows; ++r) {
    const __m512i row = _mm512_maskz_loadu_epi8(mask, x + r * b.k);
#pragma GCC unroll 4
    for (uint64_t c = 0; c < kColumns; ++c) {
      sum[r][c] = _mm512_dpbusd_epi32(sum[r][c], shifted[c], row);
    }
  }
}

template <uint64_t kRows, uint64_t kColumns>
SLIM_VNNI void TileVnni(const Int8Block& b, uint64_t i, uint64_t j) {
  __m512i sum[kRows][kColumns];
#pragma GCC unroll 6
  for (uint64_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (uint64_t c = 0; c < kColumns; ++c) sum[r][c] = _mm512_setzero_si512();
  }
  const int8_t* x = b.x + i * b.k;
  const int8_t* w = b.w + j * b.k;
  uint64_t rest = b.k;
  for (; rest >= 64; rest -= 64, x += 64, w += 64) {
    StepVnni<kRows, kColumns>(b, x, w, ~__mmask64{0}, sum);
  }
  if (rest > 0) StepVnni<kRows, kColumns>(b, x, w, (__mmask64{1} << rest) - 1, sum);
#pragma GCC unroll 6
  for (uint64_t r = 0; r < kRows; ++r) {
    int32_t* const y = b.y + (i + r) * b.y_stride + j;
    const int32_t correction = 128 * b.x_sum[i + r];
    if constexpr (kColumns == 4) {
      const __m128i sums = SumFour(FoldHalves(sum[r][0]), FoldHalves(sum[r][1]),
                                   FoldHalves(sum[r][2]), FoldHalves(sum[r][3]));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(y),
                       _mm_sub_epi32(sums, _mm_set1_epi32(correction)));
    } else {
      *y = SumLanes(FoldHalves(sum[r][0])) - correction;
    }
  }
}

template <uint64_t kRows>
void RowsVnni(const Int8Block& b, uint64_t i) {
  uint64_t j = 0;
  for (; j + 4 <= b.n; j += 4) TileVnni<kRows, 4>(b, i, j);
  for (; j < b.n; ++j) TileVnni<kRows, 1>(b, i, j);
}

template <uint64_t kRows>
void RowsAvx2(const Int8Block& b, uint64_t i) {
  uint64_t j = 0;
  for (; j + 4 <= b.n; j += 4) TileAvx2<kRows, 4>(b, i, j);
  for (; j < b.n; ++j) TileAvx2<kRows, 1>(b, i, j);
}

void BlockAvx2(const Int8Block& b) {
  uint64_t i = 0;
  for (; i + 2 <= b.t; i += 2) RowsAvx2<2>(b, i);
  for (; i < b.t; ++i) RowsAvx2<1>(b, i);
}

// Every loop over the sums is unrolled: one that is not would keep them in memory. Six rows by four
// columns fill the registers: 24 sums, 4 of w, one of x and the constant.
void BlockVnni(const Int8Block& b) {
  uint64_t i = 0;
  for (; i + 6 <= b.t; i += 6) RowsVnni<6>(b, i);
  for (; i + 2 <= b.t; i += 2) RowsVnni<2>(b, i);
  for (; i < b.t; ++i) RowsVnni<1>(b, i);
}

#elif defined(__aarch64__)

#define SLIM_DOTPROD [[gnu::target("arch=armv8.2-a+dotprod")]]

// vdotq_s32 multiplies signed codes and adds in int32: exact, no shift, no correction.
template <uint64_t kRows, uint64_t kColumns>
SLIM_DOTPROD void TileDotprod(const Int8Block& b, uint64_t i, uint64_t j) {
  int32x4_t sum[kRows][kColumns];
#pragma GCC unroll 4
  for (uint64_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (uint64_t c = 0; c < kColumns; ++c) sum[r][c] = vdupq_n_s32(0);
  }
  uint64_t l = 0;
  for (; l + 16 <= b.k; l += 16) {
    int8x16_t w[kColumns];
#pragma GCC unroll 4
    for (uint64_t c = 0; c < kColumns; ++c) w[c] = vld1q_s8(b.w + (j + c) * b.k + l);
#pragma GCC unroll 4
    for (uint64_t r = 0; r < kRows; ++r) {
      const int8x16_t x = vld1q_s8(b.x + (i + r) * b.k + l);
#pragma GCC unroll 4
      for (uint64_t c = 0; c < kColumns; ++c) sum[r][c] = vdotq_s32(sum[r][c], x, w[c]);
    }
  }
#pragma GCC unroll 4
  for (uint64_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (uint64_t c = 0; c < kColumns; ++c)
      b.y[(i + r) * b.y_stride + j + c] = vaddvq_s32(sum[r][c]);
  }
  if (l < b.k) AddTail<kRows, kColumns>(b, i, j, l);
}

template <uint64_t kRows>
void RowsDotprod(const Int8Block& b, uint64_t i) {
  uint64_t j = 0;
  for (; j + 4 <= b.n; j += 4) TileDotprod<kRows, 4>(b, i, j);
  for (; j < b.n; ++j) TileDotprod<kRows, 1>(b, i, j);
}

// Four rows by four columns: 16 sums and 5 operands of the 32 registers.
void BlockDotprod(const Int8Block& b) {
  uint64_t i = 0;
  for (; i + 4 <= b.t; i += 4) RowsDotprod<4>(b, i);
  for (; i < b.t; ++i) RowsDotprod<1>(b, i);
}

#endif

}  // namespace

Int8BlockFunction ChooseInt8Block() {
#if defined(__x86_64__)
  const Isa isa = CurrentIsa();
  // AVX-512 without VNNI exists; two 256-bit products a cycle serve it well enough.
  if (isa == Isa::kAvx512 && __builtin_cpu_supports("avx512vnni")) return BlockVnni;
  if (isa != Isa::kScalar) return BlockAvx2;
#elif defined(__aarch64__)
  if (CurrentIsa() == Isa::kDotprod) return BlockDotprod;
#endif
  return BlockScalar;
}

}  // namespace slim
