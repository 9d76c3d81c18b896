// How a kernel file calls its body for the chosen instruction set. Internal: include it first in
// every .cc that uses Highway, because it decides which targets Highway generates.
#pragma once

// scalar, avx2 and avx512 of kernels/isa.h are SSSE3 (the highest that x86-64-v2 guarantees), AVX2
// and AVX3. One more step between the first two would only be more code.
#define HWY_DISABLED_TARGETS (HWY_SSE4 | HWY_AVX3_DL)

namespace slim {

// Reads SLIM_ISA before the first dispatch; cheap afterwards.
void PrepareDispatch();

}  // namespace slim

#define SLIM_DISPATCH(function) (::slim::PrepareDispatch(), HWY_DYNAMIC_DISPATCH(function))
