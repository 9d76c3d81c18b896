#include "text/template_text.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "text/template_value.h"

namespace slim::tmpl {

CodePoint NextCodePoint(std::string_view text, size_t& at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (length == 1 || at + length > text.size()) {
    ++at;
    return lead;
  }
  CodePoint point = lead & (0x7FU >> length);
  for (size_t k = 1; k < length; ++k) {
    point = (point << 6) | (static_cast<unsigned char>(text[at + k]) & 0x3FU);
  }
  at += length;
  return point;
}

void AppendUtf8(std::string& out, CodePoint point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
    return;
  }
  if (point < 0x800) {
    out += static_cast<char>(0xC0 | (point >> 6));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
  }
  out += static_cast<char>(0x80 | (point & 0x3F));
}

std::u32string ToCodePoints(std::string_view text) {
  std::u32string points;
  points.reserve(text.size());
  for (size_t at = 0; at < text.size();) points += NextCodePoint(text, at);
  return points;
}

std::string ToUtf8(std::u32string_view points) {
  std::string text;
  text.reserve(points.size());
  for (const CodePoint point : points) AppendUtf8(text, point);
  return text;
}

size_t CountCodePoints(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

namespace {

utf8proc_category_t Category(CodePoint point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(point));
}

bool IsLineEnd(CodePoint point) {
  return (point >= 0x0A && point <= 0x0D) || (point >= 0x1C && point <= 0x1E) || point == 0x85 ||
         point == 0x2028 || point == 0x2029;
}

template <class Mapping>
std::string MapCodePoints(std::string_view text, Mapping mapping) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) mapping(out, NextCodePoint(text, at));
  return out;
}

void AppendUpper(std::string& out, CodePoint point) {
  if (point == 0xDF) {
    out += "SS";
  } else {
    AppendUtf8(out, static_cast<CodePoint>(utf8proc_toupper(static_cast<utf8proc_int32_t>(point))));
  }
}

void AppendTitle(std::string& out, CodePoint point) {
  if (point == 0xDF) {
    out += "Ss";
  } else {
    AppendUtf8(out, static_cast<CodePoint>(utf8proc_totitle(static_cast<utf8proc_int32_t>(point))));
  }
}

void AppendLower(std::string& out, CodePoint point) {
  AppendUtf8(out, static_cast<CodePoint>(utf8proc_tolower(static_cast<utf8proc_int32_t>(point))));
}

bool IsCased(CodePoint point) {
  return IsUpper(point) || IsLower(point) || Category(point) == UTF8PROC_CATEGORY_LT;
}

}  // namespace

bool IsSpace(CodePoint point) {
  return (point >= 0x09 && point <= 0x0D) || (point >= 0x1C && point <= 0x20) || point == 0x85 ||
         point == 0xA0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200A) ||
         point == 0x2028 || point == 0x2029 || point == 0x202F || point == 0x205F ||
         point == 0x3000;
}

bool IsAlpha(CodePoint point) {
  const auto category = Category(point);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
bool IsDecimal(CodePoint point) { return Category(point) == UTF8PROC_CATEGORY_ND; }
// Superscripts and circled digits have no category of their own; the common ones are listed.
bool IsDigit(CodePoint point) {
  return IsDecimal(point) || point == 0xB2 || point == 0xB3 || point == 0xB9 || point == 0x2070 ||
         (point >= 0x2074 && point <= 0x2079) || (point >= 0x2080 && point <= 0x2089) ||
         (point >= 0x2460 && point <= 0x2468);
}
bool IsNumeric(CodePoint point) {
  const auto category = Category(point);
  return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
         category == UTF8PROC_CATEGORY_NO;
}
bool IsUpper(CodePoint point) { return Category(point) == UTF8PROC_CATEGORY_LU; }
bool IsLower(CodePoint point) { return Category(point) == UTF8PROC_CATEGORY_LL; }

bool IsPrintable(CodePoint point) {
  if (point == ' ') return true;
  switch (Category(point)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

bool IsIdentifierStart(CodePoint point) {
  return point == '_' || IsAlpha(point) || Category(point) == UTF8PROC_CATEGORY_NL;
}
bool IsIdentifierPart(CodePoint point) {
  const auto category = Category(point);
  return IsIdentifierStart(point) || category == UTF8PROC_CATEGORY_ND ||
         category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
         category == UTF8PROC_CATEGORY_PC;
}

std::string Upper(std::string_view text) { return MapCodePoints(text, AppendUpper); }
std::string Lower(std::string_view text) { return MapCodePoints(text, AppendLower); }

std::string Capitalize(std::string_view text) {
  bool first = true;
  return MapCodePoints(text, [&](std::string& out, CodePoint point) {
    first ? AppendTitle(out, point) : AppendLower(out, point);
    first = false;
  });
}

std::string SwapCase(std::string_view text) {
  return MapCodePoints(text, [](std::string& out, CodePoint point) {
    IsUpper(point) ? AppendLower(out, point) : AppendUpper(out, point);
  });
}

std::string TitleCase(std::string_view text) {
  bool in_word = false;
  return MapCodePoints(text, [&](std::string& out, CodePoint point) {
    in_word ? AppendLower(out, point) : AppendTitle(out, point);
    in_word = IsCased(point);
  });
}

std::string_view Strip(std::string_view text, Side side,
                       std::optional<std::string_view> characters) {
  const std::u32string set = characters ? ToCodePoints(*characters) : std::u32string();
  const auto drop = [&](CodePoint point) {
    return characters ? set.find(point) != std::u32string::npos : IsSpace(point);
  };
  if (side != Side::kRight) {
    size_t begin = 0;
    for (size_t at = 0; at < text.size() && drop(NextCodePoint(text, at));) begin = at;
    text.remove_prefix(begin);
  }
  while (side != Side::kLeft && !text.empty()) {
    size_t last = text.size() - 1;
    while (last > 0 && (static_cast<unsigned char>(text[last]) & 0xC0U) == 0x80U) --last;
    size_t at = last;
    if (!drop(NextCodePoint(text, at))) break;
    text = text.substr(0, last);
  }
  return text;
}

namespace {

std::vector<std::string_view> SplitAtSpace(std::string_view text, int64_t max_splits) {
  std::vector<std::string_view> parts;
  while (true) {
    text = Strip(text, Side::kLeft);
    if (text.empty()) return parts;
    if (max_splits >= 0 && static_cast<int64_t>(parts.size()) >= max_splits) {
      parts.push_back(text);
      return parts;
    }
    size_t end = 0;
    for (size_t at = 0; at < text.size() && !IsSpace(NextCodePoint(text, at));) end = at;
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::vector<std::string_view> SplitAtSpaceFromRight(std::string_view text, int64_t max_splits) {
  std::vector<std::string_view> words = SplitAtSpace(text, -1);
  if (max_splits < 0 || words.size() <= static_cast<size_t>(max_splits)) return words;
  const auto kept = words.end() - max_splits;
  const std::string_view last_of_head = *(kept - 1);
  const char* begin = text.data();
  const std::string_view head(
      begin, static_cast<size_t>(last_of_head.data() + last_of_head.size() - begin));
  std::vector<std::string_view> parts = {head};
  parts.insert(parts.end(), kept, words.end());
  return parts;
}

std::vector<std::string_view> SplitAt(std::string_view text, std::string_view separator,
                                      int64_t max_splits) {
  std::vector<std::string_view> parts;
  while (max_splits < 0 || static_cast<int64_t>(parts.size()) < max_splits) {
    const size_t end = text.find(separator);
    if (end == std::string_view::npos) break;
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + separator.size());
  }
  parts.push_back(text);
  return parts;
}

std::vector<std::string_view> SplitAtFromRight(std::string_view text, std::string_view separator,
                                               int64_t max_splits) {
  std::vector<std::string_view> parts;
  while (max_splits < 0 || static_cast<int64_t>(parts.size()) < max_splits) {
    const size_t begin = text.rfind(separator);
    if (begin == std::string_view::npos) break;
    parts.push_back(text.substr(begin + separator.size()));
    text = text.substr(0, begin);
  }
  parts.push_back(text);
  std::reverse(parts.begin(), parts.end());
  return parts;
}

}  // namespace

std::vector<std::string_view> SplitText(std::string_view text,
                                        std::optional<std::string_view> separator,
                                        int64_t max_splits, bool from_right) {
  if (!separator) {
    return from_right ? SplitAtSpaceFromRight(text, max_splits) : SplitAtSpace(text, max_splits);
  }
  return from_right ? SplitAtFromRight(text, *separator, max_splits)
                    : SplitAt(text, *separator, max_splits);
}

std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = at;
    const CodePoint point = NextCodePoint(text, at);
    if (!IsLineEnd(point)) continue;
    if (point == '\r' && at < text.size() && text[at] == '\n') ++at;
    lines.push_back(text.substr(begin, (keep_ends ? at : end) - begin));
    begin = at;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::string ReplaceText(std::string_view text, std::string_view from, std::string_view to,
                        int64_t max_count) {
  std::string out;
  int64_t count = 0;
  size_t at = 0;
  while (max_count < 0 || count < max_count) {
    const size_t found = text.find(from, at);
    if (found == std::string_view::npos) break;
    out += text.substr(at, found - at);
    out += to;
    at = found + from.size();
    ++count;
    if (!from.empty()) continue;
    // Between any two characters, and at both ends.
    if (at >= text.size()) return out;
    const size_t begin = at;
    NextCodePoint(text, at);
    out += text.substr(begin, at - begin);
  }
  out += text.substr(at);
  return out;
}

uint64_t CountText(std::string_view text, std::string_view part) {
  if (part.empty()) return CountCodePoints(text) + 1;
  uint64_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

std::string EscapeHtml(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string ReprText(std::string_view text) {
  const bool double_quotes =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const CodePoint quote = double_quotes ? '"' : '\'';
  std::string out(1, static_cast<char>(quote));
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = NextCodePoint(text, at);
    if (point == quote || point == '\\') {
      out += '\\';
      AppendUtf8(out, point);
    } else if (point == '\n') {
      out += "\\n";
    } else if (point == '\r') {
      out += "\\r";
    } else if (point == '\t') {
      out += "\\t";
    } else if (IsPrintable(point)) {
      AppendUtf8(out, point);
    } else if (point < 0x100) {
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(point));
    } else if (point < 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(point));
    } else {
      out += fmt::format("\\U{:08x}", static_cast<uint32_t>(point));
    }
  }
  out += static_cast<char>(quote);
  return out;
}

std::string ReprFloat(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

namespace {

// Digits with single underscores between them, underscores dropped; nothing when they stand
// elsewhere.
std::optional<std::string> WithoutUnderscores(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const auto is_digit = [&](size_t k) {
      return k < text.size() && std::isalnum(static_cast<unsigned char>(text[k])) != 0;
    };
    if (i == 0 || !is_digit(i - 1) || !is_digit(i + 1)) return std::nullopt;
  }
  return out;
}

// Removes a prefix 0x, 0o, 0b that fits the base and resolves base 0.
std::string_view DropBasePrefix(std::string_view digits, int64_t& base) {
  const auto prefixed = [&](char letter) {
    return digits.size() > 2 && digits[0] == '0' && (digits[1] | 0x20) == letter;
  };
  for (const auto& [letter, value] : {std::pair{'x', 16}, {'o', 8}, {'b', 2}}) {
    if (prefixed(letter) && (base == value || base == 0)) {
      base = value;
      digits.remove_prefix(digits[2] == '_' ? 3 : 2);
      return digits;
    }
  }
  if (base == 0) base = 10;
  return digits;
}

}  // namespace

Result<std::optional<int64_t>> ParseInteger(std::string_view text, int64_t base) {
  if (base != 0 && (base < 2 || base > 36)) {
    return ValueError("the base of an integer must be 0 or 2 to 36");
  }
  text = Strip(text, Side::kBoth);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const std::string_view bare = DropBasePrefix(text, base);
  const auto digits = WithoutUnderscores(bare);
  if (!digits || digits->empty() || (*digits)[0] == '-') return std::optional<int64_t>();
  const std::string signed_digits = (negative ? "-" : "") + *digits;
  int64_t value = 0;
  const char* end = signed_digits.data() + signed_digits.size();
  const auto [stop, error] =
      std::from_chars(signed_digits.data(), end, value, static_cast<int>(base));
  if (stop != end) return std::optional<int64_t>();
  if (error == std::errc::result_out_of_range) {
    return Overflow("an integer does not fit 64 bits");
  }
  if (error != std::errc()) return std::optional<int64_t>();
  return std::optional<int64_t>(value);
}

std::optional<double> ParseFloat(std::string_view text) {
  text = Strip(text, Side::kBoth);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const auto digits = WithoutUnderscores(text);
  if (!digits || digits->empty()) return std::nullopt;
  const std::string lower = Lower(*digits);
  const double sign = negative ? -1.0 : 1.0;
  if (lower == "inf" || lower == "infinity") {
    return sign * std::numeric_limits<double>::infinity();
  }
  if (lower == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (lower[0] != '.' && (lower[0] < '0' || lower[0] > '9')) return std::nullopt;
  double value = 0;
  const char* end = lower.data() + lower.size();
  const auto [stop, error] = std::from_chars(lower.data(), end, value);
  if (stop != end) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    value = lower.find("e-") == std::string::npos ? std::numeric_limits<double>::infinity() : 0.0;
  } else if (error != std::errc()) {
    return std::nullopt;
  }
  return sign * value;
}

}  // namespace slim::tmpl
