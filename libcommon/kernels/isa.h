// Which instruction set the kernels use. Every path gives the same bits, so this decides speed
// only. Initially the best one the processor has, or what the environment variable SLIM_ISA names,
// read once.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim {

// In rising order of width. kScalar is the baseline that every supported processor has: SSSE3, or
// NEON on aarch64, where kDotprod adds the dot products of int8 of Armv8.2.
enum class Isa { kScalar, kAvx2, kAvx512, kDotprod };

Isa CurrentIsa();
// What this processor can run, lowest first; never empty.
std::vector<Isa> SupportedIsas();
// "scalar", "avx2", "avx512" or "dotprod"; a usage error for another name or one that the processor
// lacks. Not while kernels run.
Status SetIsa(std::string_view name);
std::string_view IsaName(Isa isa);

// The error of a SLIM_ISA that was set but could not be obeyed (the best path is used then); ok
// otherwise.
Status IsaEnvironmentStatus();

}  // namespace slim
