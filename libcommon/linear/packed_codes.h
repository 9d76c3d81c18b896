// Integer codes as other ecosystems pack them into 32-bit words, to and from one signed code a
// byte, [n, k]. Unsigned fields hold code + 2^(bits-1). Layouts: facts ecosystem.md 1.3 B, C, D.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace slim {

// GPTQ: words [k · bits / 32, n], field j of word row r is input r · (32 / bits) + j. bits 4 or 8;
// k divides by 32 / bits.
Tensor UnpackGptqCodes(std::span<const uint32_t> words, uint64_t n, uint64_t k, int bits);
Tensor PackGptqCodes(std::span<const int8_t> codes, uint64_t n, uint64_t k, int bits);
// GPTQ zero points: words [groups, n · bits / 32] along the outputs, as signed offsets F32
// [n, groups]. `minus_one`: version 1 stores zero − 1, modulo 2^bits.
Tensor UnpackGptqZeros(std::span<const uint32_t> words, uint64_t n, uint64_t groups, int bits,
                       bool minus_one);
Tensor PackGptqZeros(std::span<const float> offsets, uint64_t n, uint64_t groups, int bits,
                     bool minus_one);

// AWQ GEMM, 4 bits: words [k, n / 8] along the outputs, nibble i of a word is output
// {0, 2, 4, 6, 1, 3, 5, 7}[i] of its eight.
Tensor UnpackAwqCodes(std::span<const uint32_t> words, uint64_t n, uint64_t k);
Tensor UnpackAwqZeros(std::span<const uint32_t> words, uint64_t n, uint64_t groups);

// compressed-tensors pack-quantized, bits 4 or 8: words [n, ⌈k · bits / 32⌉] along the inputs, the
// last word padded; zero points [⌈n · bits / 32⌉, groups] along the outputs.
Tensor UnpackCtCodes(std::span<const uint32_t> words, uint64_t n, uint64_t k, int bits);
Tensor UnpackCtZeros(std::span<const uint32_t> words, uint64_t n, uint64_t groups, int bits);

// golden-stick int4: bytes [k, n / 2], two's complement, the low nibble is the even output; n even.
Tensor PackTransposedInt4(std::span<const int8_t> codes, uint64_t n, uint64_t k);
Tensor UnpackTransposedInt4(std::span<const uint8_t> bytes, uint64_t n, uint64_t k);

// Scales of the formats that keep inputs first: [groups, n] to [n, groups] and back, any 16- or
// 32-bit dtype.
Tensor Transposed(const Tensor& matrix);

}  // namespace slim
