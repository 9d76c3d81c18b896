// Statistics that say whether values can be what they claim to be, at the speed of memory. Exact
// integer work, so every instruction set gives the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dtype/dtype.h"

namespace slim {

struct CodeScan {
  int64_t sum = 0;
  int8_t min = 127;
  int8_t max = -128;
  uint64_t at_ends = 0;    // |code| >= 127
  uint64_t minus_128 = 0;  // among them
};
// Any alignment.
CodeScan ScanCodes8(const int8_t* codes, uint64_t count);

// How many words have all bits of `mask` set: with the exponent's bits NaN and infinity. Little-
// endian words of any alignment.
uint64_t CountMasked16(const void* words, uint64_t count, uint16_t mask);
uint64_t CountMasked32(const void* words, uint64_t count, uint32_t mask);

// No NaN and no infinity among `count` elements of a dtype that kernels/convert.h gives as floats.
bool AllFinite(DType dtype, const std::byte* values, uint64_t count);

}  // namespace slim
