#include "linear/packed_codes.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "base/bytes.h"
#include "base/checked.h"

namespace slim {
namespace {

constexpr uint64_t kTile = 64;  // output bytes written side by side: one cache line

// Eight unsigned nibbles of a word, lowest first, as signed bytes (nibble − 8).
uint64_t SpreadNibbles(uint32_t word) {
  uint64_t x = word;
  x = (x | (x << 16)) & 0x0000FFFF0000FFFFULL;
  x = (x | (x << 8)) & 0x00FF00FF00FF00FFULL;
  x = (x | (x << 4)) & 0x0F0F0F0F0F0F0F0FULL;
  return ((x | 0x8080808080808080ULL) - 0x0808080808080808ULL) ^ 0x8080808080808080ULL;
}

// The fields of one word as signed codes; 8 or 4 bytes are written.
void SpreadWord(uint32_t word, int bits, int8_t* to) {
  if (bits == 4) {
    StoreLe(to, SpreadNibbles(word));
  } else {
    StoreLe(to, word ^ 0x80808080U);
  }
}

uint32_t Field(uint32_t word, uint64_t index, int bits) {
  const uint32_t mask = bits == 4 ? 0xFU : 0xFFU;
  return (word >> (index * static_cast<uint64_t>(bits))) & mask;
}

constexpr uint64_t kAwqOrder[] = {0, 2, 4, 6, 1, 3, 5, 7};

}  // namespace

Tensor UnpackGptqCodes(std::span<const uint32_t> words, uint64_t n, uint64_t k, int bits) {
  assert(bits == 4 || bits == 8);
  const uint64_t fields = 32 / static_cast<uint64_t>(bits);
  Tensor codes(DType::kI8, {n, k});
  auto* out = codes.as<int8_t>().data();
  const uint64_t word_rows = k / fields;
  const uint64_t tile = kTile / fields;
  for (uint64_t first = 0; first < word_rows; first += tile) {
    const uint64_t last = std::min(word_rows, first + tile);
    for (uint64_t i = 0; i < n; ++i) {
      for (uint64_t r = first; r < last; ++r)
        SpreadWord(words[r * n + i], bits, out + i * k + r * fields);
    }
  }
  return codes;
}

Tensor PackGptqCodes(std::span<const int8_t> codes, uint64_t n, uint64_t k, int bits) {
  const uint64_t fields = 32 / static_cast<uint64_t>(bits);
  const int bias = 1 << (bits - 1);
  const uint32_t mask = (1U << bits) - 1;
  Tensor packed(DType::kI32, {k / fields, n});
  const auto words = packed.as<uint32_t>();
  for (uint64_t r = 0; r < k / fields; ++r) {
    for (uint64_t i = 0; i < n; ++i) {
      uint32_t word = 0;
      for (uint64_t j = 0; j < fields; ++j) {
        const auto code = static_cast<uint32_t>(codes[i * k + r * fields + j] + bias) & mask;
        word |= code << (j * static_cast<uint64_t>(bits));
      }
      words[r * n + i] = word;
    }
  }
  return packed;
}

Tensor UnpackGptqZeros(std::span<const uint32_t> words, uint64_t n, uint64_t groups, int bits,
                       bool minus_one) {
  const uint64_t fields = 32 / static_cast<uint64_t>(bits);
  const uint32_t mask = (1U << bits) - 1;
  const int bias = 1 << (bits - 1);
  Tensor offsets(DType::kF32, {n, groups});
  const auto out = offsets.as<float>();
  const uint64_t row_words = n / fields;
  for (uint64_t g = 0; g < groups; ++g) {
    for (uint64_t i = 0; i < n; ++i) {
      const uint32_t stored = Field(words[g * row_words + i / fields], i % fields, bits);
      const auto zero = static_cast<int>((stored + (minus_one ? 1U : 0U)) & mask);
      out[i * groups + g] = static_cast<float>(zero - bias);
    }
  }
  return offsets;
}

Tensor PackGptqZeros(std::span<const float> offsets, uint64_t n, uint64_t groups, int bits,
                     bool minus_one) {
  const uint64_t fields = 32 / static_cast<uint64_t>(bits);
  const uint32_t mask = (1U << bits) - 1;
  const int bias = 1 << (bits - 1);
  Tensor packed(DType::kI32, {groups, n / fields});
  const auto words = packed.as<uint32_t>();
  std::fill(words.begin(), words.end(), 0U);
  for (uint64_t g = 0; g < groups; ++g) {
    for (uint64_t i = 0; i < n; ++i) {
      const int zero = static_cast<int>(std::lround(offsets[i * groups + g])) + bias;
      const uint32_t stored = static_cast<uint32_t>(zero - (minus_one ? 1 : 0)) & mask;
      words[g * (n / fields) + i / fields] |= stored
                                              << ((i % fields) * static_cast<uint64_t>(bits));
    }
  }
  return packed;
}

Tensor UnpackAwqCodes(std::span<const uint32_t> words, uint64_t n, uint64_t k) {
  Tensor codes(DType::kI8, {n, k});
  const auto out = codes.as<int8_t>();
  const uint64_t row_words = n / 8;
  for (uint64_t first = 0; first < k; first += kTile) {
    const uint64_t last = std::min(k, first + kTile);
    for (uint64_t w = 0; w < row_words; ++w) {
      for (uint64_t j = first; j < last; ++j) {
        const uint64_t spread = SpreadNibbles(words[j * row_words + w]);
        for (uint64_t i = 0; i < 8; ++i) {
          out[(w * 8 + kAwqOrder[i]) * k + j] = static_cast<int8_t>((spread >> (8 * i)) & 0xFF);
        }
      }
    }
  }
  return codes;
}

Tensor UnpackAwqZeros(std::span<const uint32_t> words, uint64_t n, uint64_t groups) {
  const Tensor codes = UnpackAwqCodes(words, n, groups);
  Tensor offsets(DType::kF32, {n, groups});
  const auto from = codes.as<int8_t>();
  const auto out = offsets.as<float>();
  std::copy(from.begin(), from.end(), out.begin());
  return offsets;
}

Tensor UnpackCtCodes(std::span<const uint32_t> words, uint64_t n, uint64_t k, int bits) {
  const uint64_t fields = 32 / static_cast<uint64_t>(bits);
  const uint64_t row_words = CeilDiv(k, fields);
  Tensor codes(DType::kI8, {n, k});
  auto* out = codes.as<int8_t>().data();
  for (uint64_t i = 0; i < n; ++i) {
    const uint64_t whole = k / fields;
    for (uint64_t w = 0; w < whole; ++w)
      SpreadWord(words[i * row_words + w], bits, out + i * k + w * fields);
    for (uint64_t j = whole * fields; j < k; ++j) {
      const auto field = static_cast<int>(Field(words[i * row_words + whole], j % fields, bits));
      out[i * k + j] = static_cast<int8_t>(field - (1 << (bits - 1)));
    }
  }
  return codes;
}

Tensor UnpackCtZeros(std::span<const uint32_t> words, uint64_t n, uint64_t groups, int bits) {
  const uint64_t fields = 32 / static_cast<uint64_t>(bits);
  Tensor offsets(DType::kF32, {n, groups});
  const auto out = offsets.as<float>();
  for (uint64_t i = 0; i < n; ++i) {
    for (uint64_t g = 0; g < groups; ++g) {
      const auto zero = static_cast<int>(Field(words[(i / fields) * groups + g], i % fields, bits));
      out[i * groups + g] = static_cast<float>(zero - (1 << (bits - 1)));
    }
  }
  return offsets;
}

Tensor PackTransposedInt4(std::span<const int8_t> codes, uint64_t n, uint64_t k) {
  Tensor packed(DType::kI8, {k, n / 2});
  const auto out = packed.as<uint8_t>();
  for (uint64_t first = 0; first < k; first += kTile) {
    const uint64_t last = std::min(k, first + kTile);
    for (uint64_t i = 0; i < n / 2; ++i) {
      for (uint64_t j = first; j < last; ++j) {
        const unsigned low = static_cast<uint8_t>(codes[2 * i * k + j]) & 0xFU;
        const unsigned high = static_cast<uint8_t>(codes[(2 * i + 1) * k + j]) & 0xFU;
        out[j * (n / 2) + i] = static_cast<uint8_t>(low | high << 4);
      }
    }
  }
  return packed;
}

Tensor UnpackTransposedInt4(std::span<const uint8_t> bytes, uint64_t n, uint64_t k) {
  Tensor codes(DType::kI8, {n, k});
  const auto out = codes.as<int8_t>();
  for (uint64_t first = 0; first < k; first += kTile) {
    const uint64_t last = std::min(k, first + kTile);
    for (uint64_t i = 0; i < n; ++i) {
      for (uint64_t j = first; j < last; ++j) {
        const unsigned nibble = (bytes[j * (n / 2) + i / 2] >> (i % 2 * 4)) & 0xFU;
        out[i * k + j] = static_cast<int8_t>(static_cast<int>(nibble ^ 8U) - 8);
      }
    }
  }
  return codes;
}

Tensor Transposed(const Tensor& matrix) {
  const uint64_t rows = matrix.shape[0];
  const uint64_t columns = matrix.shape[1];
  Tensor out(matrix.dtype, {columns, rows});
  const uint64_t size = DTypeBits(matrix.dtype) / 8;
  for (uint64_t i = 0; i < rows; ++i) {
    for (uint64_t j = 0; j < columns; ++j) {
      std::memcpy(out.data.data() + (j * rows + i) * size,
                  matrix.data.data() + (i * columns + j) * size, size);
    }
  }
  return out;
}

}  // namespace slim
