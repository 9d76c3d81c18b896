// Code points of UTF-8 text that is known to be valid, and the character classes that tokenizers
// use. Owns no tables: utf8proc has them. Classes follow the Unicode properties of the same name as
// Rust and Oniguruma read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace slim {

struct CodePoint {
  char32_t value;
  size_t bytes;
};

// The code point that begins at `offset` (< text.size(), at a character boundary).
CodePoint DecodeAt(std::string_view text, size_t offset);
// The offset at which the character ending at `offset` (> 0) begins.
size_t PreviousBoundary(std::string_view text, size_t offset);
void AppendUtf8(std::string& out, char32_t value);
size_t CountCodePoints(std::string_view text);

// Appends `bytes`; each maximal part that is no UTF-8 becomes one U+FFFD (Unicode 15, 3.9,
// "substitution of maximal subparts").
void AppendLossy(std::string& out, std::string_view bytes);

bool IsWhiteSpace(char32_t value);     // White_Space
bool IsPunctuation(char32_t value);    // ASCII punctuation and symbols, or P* in Unicode 8
bool IsNumeric(char32_t value);        // general category N*
bool IsMark(char32_t value);           // general category M*
bool IsWordCharacter(char32_t value);  // \w of UTS 18: Alphabetic, M, Nd, Pc, Join_Control

void AppendLower(std::string& out, char32_t value);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
// Error: out of memory only.
Result<std::string> NormalizeForm(std::string_view text, NormalForm form);

}  // namespace slim
