// Text as Python sees it, held as UTF-8: code points, white space, case, splitting, literals. Input
// is valid UTF-8. Case follows the one-to-one mappings of Unicode and "ß".upper(); other mappings
// to several characters are left out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim::tmpl {

using CodePoint = char32_t;

// The code point at byte `at`, which moves past it.
CodePoint NextCodePoint(std::string_view text, size_t& at);
void AppendUtf8(std::string& out, CodePoint point);
std::u32string ToCodePoints(std::string_view text);
std::string ToUtf8(std::u32string_view points);
size_t CountCodePoints(std::string_view text);

bool IsSpace(CodePoint point);
bool IsAlpha(CodePoint point);
bool IsDecimal(CodePoint point);
bool IsDigit(CodePoint point);
bool IsNumeric(CodePoint point);
bool IsUpper(CodePoint point);
bool IsLower(CodePoint point);
bool IsPrintable(CodePoint point);
bool IsIdentifierStart(CodePoint point);
bool IsIdentifierPart(CodePoint point);

std::string Upper(std::string_view text);
std::string Lower(std::string_view text);
std::string Capitalize(std::string_view text);
std::string SwapCase(std::string_view text);
// str.title(): a letter after a non-letter is upper case, every other lower case.
std::string TitleCase(std::string_view text);

// The text without leading and trailing white space, or without the characters in `characters`.
enum class Side : uint8_t { kBoth, kLeft, kRight };
std::string_view Strip(std::string_view text, Side side,
                       std::optional<std::string_view> characters = std::nullopt);

// str.split and str.rsplit; without a separator at runs of white space. `max_splits` below 0: all.
std::vector<std::string_view> SplitText(std::string_view text,
                                        std::optional<std::string_view> separator,
                                        int64_t max_splits, bool from_right);
std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends);
std::string ReplaceText(std::string_view text, std::string_view from, std::string_view to,
                        int64_t max_count);
// How often `part` occurs without overlap; once more than the characters there are when it is
// empty.
uint64_t CountText(std::string_view text, std::string_view part);

std::string EscapeHtml(std::string_view text);
// Python's repr of a string.
std::string ReprText(std::string_view text);
std::string ReprFloat(double value);

// int(text, base) and float(text) of Python; nothing where Python raises ValueError. An integer out
// of 64 bits is an error.
Result<std::optional<int64_t>> ParseInteger(std::string_view text, int64_t base);
std::optional<double> ParseFloat(std::string_view text);

}  // namespace slim::tmpl
