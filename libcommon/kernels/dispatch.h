// How a kernel file calls its body for the chosen instruction set. Internal: include it first in
// every .cc that uses Highway, because it decides which targets Highway generates.
#pragma once

// scalar, avx2 and avx512 of kernels/isa.h are SSSE3 (the highest that x86-64-v2 guarantees), AVX2
// and AVX3. One more step between the first two would only be more code. On aarch64 it is NEON
// alone: the 16 lanes are arrays of vectors, which SVE's cannot be.
#define HWY_DISABLED_TARGETS \
  (HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

namespace slim {

// Reads SLIM_ISA before the first dispatch; cheap afterwards.
void PrepareDispatch();

}  // namespace slim

#define SLIM_DISPATCH(function) (::slim::PrepareDispatch(), HWY_DYNAMIC_DISPATCH(function))
