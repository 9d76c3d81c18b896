#include "text/regex_translate.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include "base/text.h"

namespace slim {
namespace {

struct Spelling {
  std::string_view from;
  std::string_view to;  // members of a PCRE2 class
};

// What Oniguruma 6.9 takes these for, found by asking it about every code point (its own
// documentation lists \w as L, M, Nd, Pc and leaves out the Latin-1 fractions and superscripts).
constexpr std::array<Spelling, 4> kEscapes = {{
    {"s", "\\p{White_Space}"},
    {"w", "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"},
    {"d", "\\p{Nd}"},
    {"h", "0-9A-Fa-f"},
}};
// [[:name:]]
constexpr std::array<Spelling, 14> kPosix = {{
    {"alnum", "\\p{Alphabetic}\\p{Nd}"},
    {"alpha", "\\p{Alphabetic}"},
    {"ascii", "\\x{00}-\\x{7f}"},
    {"blank", "\\p{Zs}\\t"},
    {"cntrl", "\\p{Cc}"},
    {"digit", "\\p{Nd}"},
    {"lower", "\\p{Lowercase}"},
    {"punct", "\\p{P}\\p{S}"},
    {"space", "\\p{White_Space}"},
    {"upper", "\\p{Uppercase}"},
    {"xdigit", "0-9A-Fa-f"},
    {"word", "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"},
    {"graph", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}"},
    {"print", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Zs}\\p{Cf}\\p{Co}"},
}};
// \p{name} where it differs from [[:name:]], and the long names of general categories, in lower
// case without separators.
constexpr std::array<Spelling, 13> kProperties = {{
    {"punct", "\\p{P}"},
    {"word", "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"},
    {"letter", "\\p{L}"},
    {"mark", "\\p{M}"},
    {"number", "\\p{N}"},
    {"punctuation", "\\p{P}"},
    {"symbol", "\\p{S}"},
    {"separator", "\\p{Z}"},
    {"other", "\\p{C}"},
    {"decimalnumber", "\\p{Nd}"},
    {"uppercaseletter", "\\p{Lu}"},
    {"lowercaseletter", "\\p{Ll}"},
    {"titlecaseletter", "\\p{Lt}"},
}};

// "Script_Name" as Oniguruma compares names: "scriptname".
std::string FoldName(std::string_view name) {
  std::string folded;
  for (const char c : ToLower(name)) {
    if (c != '_' && c != '-' && c != ' ') folded += c;
  }
  return folded;
}

// PCRE2 takes a bare script name for the script extensions, Oniguruma for the script.
bool IsScript(std::string_view name) {
  if (name.size() <= 2 ||
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") != std::string_view::npos) {
    return false;
  }
  const std::string probe = "\\p{sc:" + std::string(name) + "}";
  int error = 0;
  PCRE2_SIZE at = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(probe.data()), probe.size(),
                                   PCRE2_UTF, &error, &at, nullptr);
  pcre2_code_free(code);
  return code != nullptr;
}

template <size_t kSize>
std::string_view Lookup(const std::array<Spelling, kSize>& table, std::string_view name) {
  for (const Spelling& row : table) {
    if (row.from == name) return row.to;
  }
  return {};
}

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  Result<std::string> Run() {
    while (position_ < pattern_.size()) {
      const char c = pattern_[position_];
      if (c == '\\') {
        SLIM_TRY(Escape(/*in_class=*/false, out_));
      } else if (c == '[') {
        SLIM_TRY(Class(out_));
      } else if (pattern_.substr(position_).starts_with("(?")) {
        SLIM_TRY(Group());
      } else {
        out_ += c;
        ++position_;
      }
    }
    return std::move(out_);
  }

 private:
  Error Refuse(std::string_view what) const {
    return InputError("TOK-regex", "regular expression " + Quote(pattern_) + ": " +
                                       std::string(what) + " is not supported");
  }

  // Members of a class, as themselves inside brackets, in brackets of their own outside.
  static void Put(std::string_view members, bool negated, bool in_class, std::string& out) {
    if (in_class) {
      out += members;
    } else {
      out += negated ? "[^" : "[";
      out += members;
      out += ']';
    }
  }

  Status Escape(bool in_class, std::string& out) {
    if (position_ + 1 >= pattern_.size()) return Refuse("a backslash at the end");
    const char c = pattern_[position_ + 1];
    const std::string_view members =
        Lookup(kEscapes, std::string_view(&pattern_[position_ + 1], 1));
    if (!members.empty()) {
      position_ += 2;
      // Inside brackets \w is [[:word:]].
      Put(in_class && c == 'w' ? Lookup(kPosix, "word") : members, false, in_class, out);
      return {};
    }
    if (c == 'S' || c == 'W' || c == 'D' || c == 'H') return NegatedEscape(c, in_class, out);
    if (c == 'p' || c == 'P') return Property(in_class, out);
    if (c == 'u') return Hex4(out);
    if (c == 'Z' || c == 'A' || c == 'z' || c == 'G' || c == 'b' || c == 'B' || !IsLetter(c) ||
        std::string_view("nrtfvaexRXN").find(c) != std::string_view::npos) {
      CopyEscaped(out);
      return {};
    }
    return Refuse(std::string("the escape \\") + c);
  }

  Status NegatedEscape(char c, bool in_class, std::string& out) {
    const char lower = static_cast<char>(c + ('a' - 'A'));
    position_ += 2;
    if (!in_class) {
      Put(Lookup(kEscapes, std::string_view(&lower, 1)), true, false, out);
      return {};
    }
    // A PCRE2 class has no negated union; a single property has a negation of its own.
    if (c == 'S') out += "\\P{White_Space}";
    if (c == 'D') out += "\\P{Nd}";
    if (c == 'W' || c == 'H') return Refuse(std::string("\\") + c + " inside brackets");
    return {};
  }

  Status Property(bool in_class, std::string& out) {
    const size_t start = position_;
    if (position_ + 2 < pattern_.size() && pattern_[position_ + 2] == '{') {
      const size_t close = pattern_.find('}', position_);
      if (close == std::string_view::npos) return Refuse("\\p{ without }");
      std::string_view name = pattern_.substr(start + 3, close - start - 3);
      bool negated = pattern_[start + 1] == 'P';
      if (name.starts_with('^')) {
        negated = !negated;
        name.remove_prefix(1);
      }
      position_ = close + 1;
      const std::string folded = FoldName(name);
      std::string_view members = Lookup(kProperties, folded);
      if (members.empty()) members = Lookup(kPosix, folded);
      if (!members.empty() && !(in_class && negated)) {
        Put(members, negated, in_class, out);
      } else {
        out += negated ? "\\P{" : "\\p{";
        if (IsScript(folded)) out += "sc:";
        out += name;
        out += '}';
      }
      return {};
    }
    CopyEscaped(out);
    return {};
  }

  Status Hex4(std::string& out) {
    const std::string_view digits = pattern_.substr(position_ + 2, 4);
    if (digits.size() != 4 ||
        digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) {
      return Refuse("\\u without four hexadecimal digits");
    }
    out += "\\x{";
    out += digits;
    out += '}';
    position_ += 6;
    return {};
  }

  void CopyEscaped(std::string& out) {
    out += pattern_.substr(position_, 2);
    position_ += 2;
  }

  static bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

  // Ruby's m is PCRE2's s; lookarounds, atomic and named groups are written alike.
  Status Group() {
    out_ += "(?";
    position_ += 2;
    bool flags = false;
    size_t end = position_;
    while (end < pattern_.size() && (IsLetter(pattern_[end]) || pattern_[end] == '-')) ++end;
    flags = end < pattern_.size() && (pattern_[end] == ':' || pattern_[end] == ')');
    if (!flags) return {};
    for (; position_ < end; ++position_) {
      const char c = pattern_[position_];
      if (c != 'i' && c != 'm' && c != 'x' && c != '-') {
        return Refuse(std::string("the group option ") + c);
      }
      out_ += c == 'm' ? 's' : c;
    }
    return {};
  }

  // One operand of && in a class: its members, or a whole class of its own.
  struct Operand {
    std::string members;
    std::string nested;
  };

  Status Class(std::string& out) {
    ++position_;
    bool negated = false;
    if (Peek() == '^') {
      negated = true;
      ++position_;
    }
    std::vector<Operand> operands(1);
    for (bool first = true; Peek() != ']' || first; first = false) {
      if (position_ >= pattern_.size()) return Refuse("[ without ]");
      SLIM_TRY(Member(operands));
    }
    ++position_;
    if (operands.size() == 1 && operands[0].nested.empty()) {
      out += negated ? "[^" : "[";
      out += operands[0].members;
      out += ']';
      return {};
    }
    return Intersection(operands, negated, out);
  }

  Status Member(std::vector<Operand>& operands) {
    Operand& operand = operands.back();
    const std::string_view rest = pattern_.substr(position_);
    if (rest.starts_with("&&")) {
      operands.emplace_back();
      position_ += 2;
      return {};
    }
    if (!operand.nested.empty()) return Refuse("a union with a class inside brackets");
    if (rest.starts_with("[:")) return PosixClass(operand.members);
    if (rest.front() == '[') {
      if (!operand.members.empty()) return Refuse("a union with a class inside brackets");
      if (++depth_ > kMaxDepth) return Refuse("a class nested this deep");
      SLIM_TRY(Class(operand.nested));
      --depth_;
      return {};
    }
    if (rest.front() == '\\') return Escape(/*in_class=*/true, operand.members);
    operand.members += rest.front();
    ++position_;
    return {};
  }

  Status PosixClass(std::string& members) {
    const size_t close = pattern_.find(":]", position_);
    if (close == std::string_view::npos) return Refuse("[: without :]");
    std::string_view name = pattern_.substr(position_ + 2, close - position_ - 2);
    const std::string_view found = Lookup(kPosix, name);
    if (found.empty()) return Refuse("the class [:" + Quote(name) + ":]");
    members += found;
    position_ = close + 2;
    return {};
  }

  // [a&&b&&c] is one character that is in all of them: (?=[a])(?=[b])[c]; its negation is
  // (?!(?=[a])(?=[b])[c]) and any character.
  Status Intersection(const std::vector<Operand>& operands, bool negated, std::string& out) {
    out += negated ? "(?:(?!" : "(?:";
    for (size_t i = 0; i < operands.size(); ++i) {
      const Operand& operand = operands[i];
      if (operand.members.empty() && operand.nested.empty())
        return Refuse("an empty operand of &&");
      const bool last = i + 1 == operands.size();
      if (!last) out += "(?=";
      out += operand.nested.empty() ? "[" + operand.members + "]" : operand.nested;
      if (!last) out += ')';
    }
    out += negated ? ")(?s:.))" : ")";
    return {};
  }

  char Peek() const { return position_ < pattern_.size() ? pattern_[position_] : '\0'; }

  static constexpr int kMaxDepth = 8;
  std::string_view pattern_;
  size_t position_ = 0;
  int depth_ = 0;
  std::string out_;
};

}  // namespace

Result<std::string> TranslateRegex(std::string_view pattern) { return Translator(pattern).Run(); }

}  // namespace slim
