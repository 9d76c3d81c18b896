#include "json/scanner.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/text.h"

namespace slim {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The rule of a value that is not the one expected: a text that ends here is no JSON at all.
std::string_view RuleOf(std::string_view kind) {
  return kind == "end of text" ? "JSON-syntax" : "JSON-type";
}

// True when none of eight bytes of a string is a quote, a backslash or below 0x20: names of tensors
// are most of a header.
bool IsPlain(uint64_t bytes) {
  constexpr uint64_t kOnes = 0x0101010101010101ULL;
  constexpr uint64_t kHighs = 0x8080808080808080ULL;
  const auto zero = [](uint64_t word) { return (word - kOnes) & ~word; };
  const uint64_t control = (bytes - kOnes * 0x20) & ~bytes;
  return ((control | zero(bytes ^ (kOnes * '"')) | zero(bytes ^ (kOnes * '\\'))) & kHighs) == 0;
}

void AppendUtf8(std::string& out, uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

}  // namespace

JsonScanner::JsonScanner(std::string_view text) : text_(text) {}

Status JsonScanner::Start() {
  if (!IsUtf8(text_)) return Fail("JSON-utf8", "not valid UTF-8");
  return {};
}

Error JsonScanner::Fail(std::string_view rule, std::string message) const {
  Error error = InputError(std::string(rule), std::move(message));
  error.offset = position_;
  return error;
}

std::string_view JsonScanner::NextKind() {
  SkipSpace();
  if (position_ >= text_.size()) return "end of text";
  const std::string_view rest = text_.substr(position_);
  switch (rest[0]) {
    case '{':
      return "object";
    case '[':
      return "array";
    case '"':
      return "string";
    case '-':
      return "number";
    default:
      break;
  }
  if (IsDigit(rest[0])) return "number";
  for (const std::string_view word : {"true", "false", "null"}) {
    if (rest.starts_with(word)) return word;
  }
  return "garbage";
}

Status JsonScanner::BeginObject() {
  if (!Consume('{'))
    return Fail(RuleOf(NextKind()), fmt::format("found {}, expected an object", NextKind()));
  first_ = true;
  return {};
}

Status JsonScanner::BeginArray() {
  if (!Consume('['))
    return Fail(RuleOf(NextKind()), fmt::format("found {}, expected an array", NextKind()));
  first_ = true;
  return {};
}

Result<bool> JsonScanner::NextKey(std::string_view& key) {
  if (Consume('}')) {
    first_ = false;
    return false;
  }
  if (!first_ && !Consume(','))
    return Fail("JSON-syntax", fmt::format("found {}, expected ',' or '}}'", NextKind()));
  SLIM_ASSIGN(key, String());
  if (!Consume(':')) return Fail("JSON-syntax", fmt::format("found {}, expected ':'", NextKind()));
  first_ = false;
  return true;
}

Result<bool> JsonScanner::NextElement() {
  if (Consume(']')) {
    first_ = false;
    return false;
  }
  if (!first_ && !Consume(','))
    return Fail("JSON-syntax", fmt::format("found {}, expected ',' or ']'", NextKind()));
  if (NextKind() == "garbage") return Fail("JSON-syntax", "expected a value");
  first_ = false;
  return true;
}

Result<uint32_t> JsonScanner::HexDigits() {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i, ++position_) {
    const char c = position_ < text_.size() ? text_[position_] : '\0';
    uint32_t digit = 0;
    if (IsDigit(c)) {
      digit = static_cast<uint32_t>(c - '0');
    } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
      digit = static_cast<uint32_t>((c | 0x20) - 'a' + 10);
    } else {
      return Fail("JSON-syntax", "\\u needs four hexadecimal digits");
    }
    value = value * 16 + digit;
  }
  return value;
}

Status JsonScanner::DecodeEscape(std::string& out) {
  const char c = position_ < text_.size() ? text_[position_++] : '\0';
  switch (c) {
    case '"':
    case '\\':
    case '/':
      out += c;
      return {};
    case 'b':
      out += '\b';
      return {};
    case 'f':
      out += '\f';
      return {};
    case 'n':
      out += '\n';
      return {};
    case 'r':
      out += '\r';
      return {};
    case 't':
      out += '\t';
      return {};
    case 'u':
      break;
    default:
      return Fail("JSON-syntax", "unknown escape in a string");
  }
  SLIM_ASSIGN(uint32_t point, HexDigits());
  if (point >= 0xDC00 && point <= 0xDFFF)
    return Fail("JSON-surrogate", "lone surrogate in a string");
  if (point >= 0xD800 && point <= 0xDBFF) {
    if (text_.substr(position_, 2) != "\\u")
      return Fail("JSON-surrogate", "lone surrogate in a string");
    position_ += 2;
    SLIM_ASSIGN(const uint32_t low, HexDigits());
    if (low < 0xDC00 || low > 0xDFFF) return Fail("JSON-surrogate", "lone surrogate in a string");
    point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
  }
  AppendUtf8(out, point);
  return {};
}

Result<std::string_view> JsonScanner::String() {
  if (!Consume('"'))
    return Fail(RuleOf(NextKind()), fmt::format("found {}, expected a string", NextKind()));
  const size_t begin = position_;
  while (text_.size() - position_ >= 8 && IsPlain(LoadLe<uint64_t>(&text_[position_]))) {
    position_ += 8;
  }
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c == '"') return text_.substr(begin, position_++ - begin);
    if (c == '\\') break;
    if (static_cast<unsigned char>(c) < 0x20)
      return Fail("JSON-control-character", "raw control character in a string");
    ++position_;
  }
  std::string& out = decoded_.emplace_back(text_.substr(begin, position_ - begin));
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c == '"') {
      ++position_;
      return std::string_view(out);
    }
    if (static_cast<unsigned char>(c) < 0x20)
      return Fail("JSON-control-character", "raw control character in a string");
    ++position_;
    if (c == '\\') {
      SLIM_TRY(DecodeEscape(out));
    } else {
      out += c;
    }
  }
  return Fail("JSON-syntax", "string is not closed");
}

Result<uint64_t> JsonScanner::Unsigned() {
  const std::string_view kind = NextKind();
  if (kind != "number")
    return Fail(RuleOf(kind), fmt::format("found {}, expected an unsigned integer", kind));
  if (text_[position_] == '-')
    return Fail("JSON-number", "negative number, expected an unsigned integer");
  const size_t begin = position_;
  uint64_t value = 0;
  constexpr size_t kAlwaysFit = 19;  // digits
  const size_t fit = std::min(begin + kAlwaysFit, text_.size());
  for (; position_ < fit && IsDigit(text_[position_]); ++position_)
    value = value * 10 + static_cast<uint64_t>(text_[position_] - '0');
  while (position_ < text_.size() && IsDigit(text_[position_])) {
    const auto scaled = CheckedMul(value, 10);
    const auto next =
        scaled ? CheckedAdd(*scaled, static_cast<uint64_t>(text_[position_] - '0')) : std::nullopt;
    if (!next) return Fail("JSON-number", "integer does not fit in 64 bits");
    value = *next;
    ++position_;
  }
  if (position_ - begin > 1 && text_[begin] == '0')
    return Fail("JSON-number", "integer with a leading zero");
  if (position_ < text_.size()) {
    const char c = text_[position_];
    if (c == '.' || (c | 0x20) == 'e') return Fail("JSON-number", "not an integer");
  }
  return value;
}

Status JsonScanner::SkipScalar() {
  const std::string_view kind = NextKind();
  if (kind == "string") {
    SLIM_ASSIGN([[maybe_unused]] const std::string_view text, String());
    return {};
  }
  if (kind == "true" || kind == "false" || kind == "null") {
    position_ += kind.size();
    return {};
  }
  if (kind != "number") return Fail("JSON-syntax", "expected a value");
  const auto digits = [&] {
    const size_t begin = position_;
    while (position_ < text_.size() && IsDigit(text_[position_])) ++position_;
    return position_ - begin;
  };
  const auto at = [&](char c) { return position_ < text_.size() && text_[position_] == c; };
  if (at('-')) ++position_;
  const bool zero = at('0');
  const size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return Fail("JSON-number", "malformed number");
  if (at('.')) {
    ++position_;
    if (digits() == 0) return Fail("JSON-number", "malformed number");
  }
  if (at('e') || at('E')) {
    ++position_;
    if (at('+') || at('-')) ++position_;
    if (digits() == 0) return Fail("JSON-number", "malformed number");
  }
  return {};
}

Status JsonScanner::SkipValue(int max_depth) {
  std::string closers;
  do {
    const std::string_view kind = NextKind();
    bool descended = false;
    if (kind == "object" || kind == "array") {
      if (static_cast<int>(closers.size()) >= max_depth) {
        return Fail("JSON-too-deep", fmt::format("nested deeper than {} levels", max_depth));
      }
      if (kind == "object") {
        SLIM_TRY(BeginObject());
      } else {
        SLIM_TRY(BeginArray());
      }
      closers += kind == "object" ? '}' : ']';
      descended = true;
    }
    if (!descended) SLIM_TRY(SkipScalar());
    // Move to the next member of the innermost open container, closing what ends here.
    while (!closers.empty()) {
      bool more = false;
      if (closers.back() == '}') {
        std::string_view key;
        SLIM_ASSIGN(more, NextKey(key));
      } else {
        SLIM_ASSIGN(more, NextElement());
      }
      if (more) break;
      closers.pop_back();
    }
  } while (!closers.empty());
  return {};
}

Status JsonScanner::End() {
  SkipSpace();
  if (position_ == text_.size()) return {};
  if (text_[position_] == '\0') return Fail("JSON-trailing", "NUL byte after the document");
  return Fail("JSON-trailing", "text after the end of the document");
}

}  // namespace slim
