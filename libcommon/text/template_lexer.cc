#include "text/template_lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "text/template_text.h"
#include "text/template_value.h"

namespace slim::tmpl {

std::string Token::Describe() const {
  switch (kind) {
    case TokenKind::kVariableEnd:
    case TokenKind::kBlockEnd:
      return "the end of the tag";
    case TokenKind::kEnd:
      return "the end of the template";
    case TokenKind::kString:
      return "text " + Quote(text);
    default:
      return Quote(text);
  }
}

namespace {

std::string NormalizeNewlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Python's escapes in the body of a string literal.
class Unescaper {
 public:
  explicit Unescaper(std::string_view body) : body_(body) {}

  Result<std::string> Run() {
    while (at_ < body_.size()) {
      if (body_[at_] != '\\' || at_ + 1 >= body_.size()) {
        out_ += body_[at_++];
        continue;
      }
      ++at_;
      SLIM_TRY(Escape());
    }
    return std::move(out_);
  }

 private:
  Status Escape() {
    constexpr std::string_view kLetters = "abfnrtv\\'\"";
    constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";
    const char c = body_[at_];
    if (const size_t letter = kLetters.find(c); letter != std::string_view::npos) {
      out_ += kMeanings[letter];
      ++at_;
      return {};
    }
    if (c == '\n') {
      ++at_;
      return {};
    }
    if (c == 'x') return Hex(2);
    if (c == 'u') return Hex(4);
    if (c == 'U') return Hex(8);
    if (c == 'N') return Unsupported("a character by name (\\N) is not supported");
    if (c >= '0' && c <= '7') return Octal();
    out_ += '\\';
    if (static_cast<unsigned char>(c) >= 0x80) SpellOut();
    return {};
  }

  Status Hex(size_t digits) {
    ++at_;
    uint32_t value = 0;
    for (size_t i = 0; i < digits; ++i, ++at_) {
      const int digit = at_ < body_.size() ? HexValue(body_[at_]) : -1;
      if (digit < 0) return SyntaxError("a \\x, \\u or \\U escape lacks digits");
      value = value * 16 + static_cast<uint32_t>(digit);
    }
    if (value > 0x10FFFF) return SyntaxError("an escape names no Unicode character");
    if (value >= 0xD800 && value <= 0xDFFF)
      return Unsupported("an escaped surrogate is not supported");
    AppendUtf8(out_, value);
    return {};
  }

  Status Octal() {
    uint32_t value = 0;
    for (int i = 0; i < 3 && at_ < body_.size() && body_[at_] >= '0' && body_[at_] <= '7'; ++i) {
      value = value * 8 + static_cast<uint32_t>(body_[at_++] - '0');
    }
    AppendUtf8(out_, value);
    return {};
  }

  // Jinja turns the character into its own escape before it reads escapes: the backslash in front
  // stays and the escape becomes plain text.
  void SpellOut() {
    const auto point = static_cast<uint32_t>(NextCodePoint(body_, at_));
    out_ += point < 0x100     ? fmt::format("x{:02x}", point)
            : point < 0x10000 ? fmt::format("u{:04x}", point)
                              : fmt::format("U{:08x}", point);
  }

  std::string_view body_;
  size_t at_ = 0;
  std::string out_;
};

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  Result<std::vector<Token>> Run() {
    if (auto status = Template(); !status.ok()) {
      Error error = std::move(status).error();
      error.message = fmt::format("line {}: {}", line_, error.message);
      return error;
    }
    Emit(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  Status Template() {
    while (at_ < source_.size()) {
      const size_t tag = FindTag(at_);
      if (tag == std::string::npos) {
        Data(source_.substr(at_));
        at_ = source_.size();
        return {};
      }
      SLIM_TRY(Tag(tag));
    }
    return {};
  }

  size_t FindTag(size_t from) const {
    for (size_t at = source_.find('{', from); at != std::string::npos;
         at = source_.find('{', at + 1)) {
      if (at + 1 < source_.size() &&
          std::string_view("{%#").find(source_[at + 1]) != std::string_view::npos) {
        return at;
      }
    }
    return std::string::npos;
  }

  Status Tag(size_t tag) {
    const char type = source_[tag + 1];
    size_t next = tag + 2;
    const char sign = next < source_.size() && (source_[next] == '-' || source_[next] == '+')
                          ? source_[next]
                          : '\0';
    if (sign != '\0') ++next;
    DataBefore(tag, sign, type == '{');
    Advance(next);
    if (type == '#') return Comment();
    if (type == '%' && RawBegins()) return Raw();
    Emit(type == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin, "");
    return Inside(type);
  }

  // Text up to a tag, less the white space that the tag takes.
  void DataBefore(size_t tag, char sign, bool is_variable) {
    std::string_view data = std::string_view(source_).substr(at_, tag - at_);
    if (sign == '-') {
      data = Strip(data, Side::kRight);
    } else if (sign != '+' && !is_variable) {
      const size_t newline = data.rfind('\n');
      const size_t line_begin = newline == std::string_view::npos ? 0 : newline + 1;
      const bool at_line_start = line_begin > 0 || line_starts_;
      if (at_line_start && Strip(data.substr(line_begin), Side::kLeft).empty()) {
        data = data.substr(0, line_begin);
      }
    }
    Data(data);
    Advance(tag);
  }

  void Data(std::string_view text) {
    if (!text.empty()) Emit(TokenKind::kData, std::string(text));
  }

  void Emit(TokenKind kind, std::string text) {
    tokens_.push_back({.kind = kind, .line = line_, .text = std::move(text)});
  }

  // Steps to `to` counting lines.
  void Advance(size_t to) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    line_starts_ = to > at_ && source_[to - 1] == '\n';
    at_ = to;
  }

  size_t SkipSpace(size_t at) const {
    const std::string_view rest = std::string_view(source_).substr(at);
    return at + rest.size() - Strip(rest, Side::kLeft).size();
  }

  bool StartsWith(size_t at, std::string_view text) const {
    return std::string_view(source_).substr(at).starts_with(text);
  }

  // Where the text after a closing delimiter at `at` begins, or 0 when there is none. "-" before it
  // takes the white space behind; otherwise a block or comment takes one newline (trim_blocks)
  // unless "+" is before it.
  size_t Close(size_t at, std::string_view delimiter, bool trims) const {
    const bool plus = trims && StartsWith(at, "+");
    const bool minus = StartsWith(at, "-");
    const size_t bare = plus || minus ? at + 1 : at;
    if (!StartsWith(bare, delimiter)) return 0;
    const size_t end = bare + delimiter.size();
    if (minus) return SkipSpace(end);
    return trims && !plus && StartsWith(end, "\n") ? end + 1 : end;
  }

  Status Comment() {
    const size_t close = source_.find("#}", at_);
    if (close == std::string::npos) return SyntaxError("a comment has no end");
    const bool sign = close > at_ && (source_[close - 1] == '-' || source_[close - 1] == '+');
    Advance(Close(sign ? close - 1 : close, "#}", true));
    return {};
  }

  // At the inside of a block tag: is it {% raw %}? Steps past it when so.
  bool RawBegins() {
    size_t at = SkipSpace(at_);
    if (!StartsWith(at, "raw")) return false;
    at = SkipSpace(at + 3);
    const size_t end = StartsWith(at, "+") ? 0 : Close(at, "%}", false);
    if (end == 0) return false;
    Advance(end);
    return true;
  }

  Status Raw() {
    for (size_t tag = source_.find("{%", at_); tag != std::string::npos;
         tag = source_.find("{%", tag + 1)) {
      size_t at = tag + 2;
      const char sign = StartsWith(at, "-") || StartsWith(at, "+") ? source_[at] : '\0';
      at = SkipSpace(sign != '\0' ? at + 1 : at);
      if (!StartsWith(at, "endraw")) continue;
      const size_t end = Close(SkipSpace(at + 6), "%}", true);
      if (end == 0) continue;
      DataBefore(tag, sign, false);
      Advance(end);
      return {};
    }
    return SyntaxError("a raw block has no end");
  }

  // Tokens of a {{ }} or {% %} up to its end, which counts only outside of brackets.
  Status Inside(char type) {
    const bool variable = type == '{';
    const std::string_view delimiter = variable ? "}}" : "%}";
    const int opened = line_;
    brackets_.clear();
    while (true) {
      if (brackets_.empty()) {
        if (const size_t end = Close(at_, delimiter, !variable); end != 0) {
          Emit(variable ? TokenKind::kVariableEnd : TokenKind::kBlockEnd, "");
          Advance(end);
          return {};
        }
      }
      const size_t next = SkipSpace(at_);
      if (next != at_) {
        Advance(next);
        continue;
      }
      if (at_ >= source_.size())
        return SyntaxError(fmt::format("the tag opened on line {} has no end", opened));
      SLIM_TRY(One());
    }
  }

  Status One() {
    const char c = source_[at_];
    if (c >= '0' && c <= '9') return Number();
    if (c == '\'' || c == '"') return StringLiteral(c);
    size_t at = at_;
    if (IsIdentifierStart(NextCodePoint(source_, at))) return Name();
    return Operator();
  }

  Status Name() {
    size_t end = at_;
    for (size_t at = at_; at < source_.size() && IsIdentifierPart(NextCodePoint(source_, at));)
      end = at;
    Take(TokenKind::kName, end);
    return {};
  }

  void Take(TokenKind kind, size_t end) {
    Emit(kind, source_.substr(at_, end - at_));
    Advance(end);
  }

  // Digits with single underscores between them.
  template <class IsDigitChar>
  size_t Digits(size_t at, IsDigitChar is_digit) const {
    while (at < source_.size()) {
      if (is_digit(source_[at])) {
        ++at;
      } else if (source_[at] == '_' && at + 1 < source_.size() && is_digit(source_[at + 1])) {
        at += 2;
      } else {
        break;
      }
    }
    return at;
  }

  Status Number() {
    const auto decimal = [](char c) { return c >= '0' && c <= '9'; };
    const auto digit_at = [&](size_t at) { return at < source_.size() && decimal(source_[at]); };
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    const size_t whole = Digits(at_, decimal);
    size_t end = whole;
    if (!after_dot) {
      if (StartsWith(end, ".") && digit_at(end + 1)) end = Digits(end + 1, decimal);
      if (StartsWith(end, "e") || StartsWith(end, "E")) {
        const size_t sign =
            StartsWith(end + 1, "+") || StartsWith(end + 1, "-") ? end + 2 : end + 1;
        if (digit_at(sign)) end = Digits(sign, decimal);
      }
      if (end != whole) {
        Take(TokenKind::kFloat, end);
        return {};
      }
    }
    if (source_[at_] == '0') return ZeroNumber();
    Take(TokenKind::kInteger, whole);
    return {};
  }

  // 0x1F, 0o17, 0b11, or zeros: Python has no other integer that begins with 0.
  Status ZeroNumber() {
    const auto base_digits = [&](std::string_view prefix, int base) {
      if (!StartsWith(at_, prefix)) return size_t{0};
      const auto is_digit = [base](char c) { return HexValue(c) >= 0 && HexValue(c) < base; };
      const size_t begin = at_ + 2 + (StartsWith(at_ + 2, "_") ? 1 : 0);
      const size_t end = Digits(begin, is_digit);
      return end == begin ? 0 : end;
    };
    size_t end = 0;
    for (const auto& [low, high, base] :
         {std::tuple{"0x", "0X", 16}, {"0o", "0O", 8}, {"0b", "0B", 2}}) {
      end = std::max({end, base_digits(low, base), base_digits(high, base)});
    }
    if (end == 0) end = Digits(at_, [](char c) { return c == '0'; });
    Take(TokenKind::kInteger, end);
    return {};
  }

  Status StringLiteral(char quote) {
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) return SyntaxError("a string has no end");
    const std::string_view body = std::string_view(source_).substr(at_ + 1, end - at_ - 1);
    SLIM_ASSIGN(std::string text, Unescaper(body).Run());
    Emit(TokenKind::kString, std::move(text));
    Advance(end + 1);
    return {};
  }

  Status Operator() {
    constexpr std::array<std::string_view, 26> kOperators = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    const auto* found = std::find_if(kOperators.begin(), kOperators.end(),
                                     [&](std::string_view name) { return StartsWith(at_, name); });
    if (found == kOperators.end()) {
      size_t end = at_;
      NextCodePoint(source_, end);
      return SyntaxError("unexpected character " + Quote(source_.substr(at_, end - at_)));
    }
    SLIM_TRY(Balance((*found)[0]));
    Take(TokenKind::kOperator, at_ + found->size());
    return {};
  }

  Status Balance(char c) {
    constexpr std::string_view kOpen = "([{";
    constexpr std::string_view kClose = ")]}";
    if (const size_t open = kOpen.find(c); open != std::string_view::npos)
      brackets_ += kClose[open];
    if (kClose.find(c) == std::string_view::npos) return {};
    if (brackets_.empty()) return SyntaxError(fmt::format("unexpected '{}'", c));
    if (brackets_.back() != c)
      return SyntaxError(fmt::format("unexpected '{}', expected '{}'", c, brackets_.back()));
    brackets_.pop_back();
    return {};
  }

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starts_ = true;  // the last tag ended with a newline, or nothing was read yet
  std::string brackets_;     // closing brackets that are due
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> Tokenize(std::string_view source) {
  return Lexer(NormalizeNewlines(source)).Run();
}

}  // namespace slim::tmpl
