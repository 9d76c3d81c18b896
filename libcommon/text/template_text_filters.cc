// Filters that give one value of one value: text, numbers, JSON.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "text/template_filters.h"
#include "text/template_ops.h"
#include "text/template_print.h"
#include "text/template_text.h"

namespace slim::tmpl {
namespace {

using Bound = BoundArguments;

Result<int64_t> Integer(const Value& value, std::string_view what) {
  if (value.IsIntegral()) return value.integer();
  if (value.IsUndefined()) return UndefinedError(value.text());
  return TypeError(fmt::format("{} must be an integer, not {}", what, TypeName(value)));
}

template <std::string (*kMap)(std::string_view)>
Result<Value> Mapped(Runtime& runtime, const Value& value, const Bound&) {
  SLIM_ASSIGN(const std::string text, Str(runtime.budget, value));
  return MakeString(runtime.budget, kMap(text), value.markup());
}

// A letter at the start and after white space, - ( { [ or < is upper case, every other lower case.
std::string FilterTitle(std::string_view text) {
  constexpr std::u32string_view kBeforeWord = U"-({[<";
  std::string out;
  size_t begin = 0;
  const auto flush = [&](size_t end) {
    const std::string_view word = text.substr(begin, end - begin);
    if (word.empty()) return;
    size_t first = 0;
    NextCodePoint(word, first);
    out += Upper(word.substr(0, first));
    out += Lower(word.substr(first));
  };
  for (size_t at = 0; at < text.size();) {
    const size_t here = at;
    const CodePoint point = NextCodePoint(text, at);
    if (!IsSpace(point) && kBeforeWord.find(point) == std::u32string_view::npos) continue;
    flush(here);
    out += text.substr(here, at - here);
    begin = at;
  }
  flush(text.size());
  return out;
}

Result<Value> TitleFilter(Runtime& runtime, const Value& value, const Bound&) {
  SLIM_ASSIGN(const std::string text, Str(runtime.budget, value));
  return MakeString(runtime.budget, FilterTitle(text));
}

Result<Value> Trim(Runtime& runtime, const Value& value, const Bound& arguments) {
  SLIM_ASSIGN(const std::string text, Str(runtime.budget, value));
  const Value characters = arguments.Or(0, Value());
  if (characters.Is(Kind::kNone)) {
    return MakeString(runtime.budget, std::string(Strip(text, Side::kBoth)), value.markup());
  }
  if (!characters.Is(Kind::kString)) return TypeError("the characters to trim must be text");
  SLIM_TRY(runtime.budget.Steps(text.size() / 32 * (1 + characters.text().size())));
  return MakeString(runtime.budget, std::string(Strip(text, Side::kBoth, characters.text())),
                    value.markup());
}

Result<Value> Replace(Runtime& runtime, const Value& value, const Bound& arguments) {
  if (!arguments.Has(0) || !arguments.Has(1))
    return TypeError("filter 'replace' needs old and new text");
  SLIM_ASSIGN(const std::string text, Str(runtime.budget, value));
  SLIM_ASSIGN(const std::string from, Str(runtime.budget, arguments[0]));
  SLIM_ASSIGN(const std::string to, Str(runtime.budget, arguments[1]));
  int64_t count = -1;
  if (arguments.Has(2) && !arguments[2].Is(Kind::kNone)) {
    SLIM_ASSIGN(count, Integer(arguments[2], "count"));
  }
  const uint64_t hits = CountText(text, from);
  SLIM_TRY(runtime.budget.Text(text.size() +
                               (to.size() > from.size() ? hits * (to.size() - from.size()) : 0)));
  return MakeString(runtime.budget, ReplaceText(text, from, to, count));
}

Result<Value> Indent(Runtime& runtime, const Value& value, const Bound& arguments) {
  if (value.IsUndefined()) return UndefinedError(value.text());
  if (!value.Is(Kind::kString)) {
    return TypeError(fmt::format("indent takes text, not {}", TypeName(value)));
  }
  SLIM_ASSIGN(std::string text, Str(runtime.budget, value));
  const Value width = arguments.Or(0, Value::Integer(4));
  std::string space;
  if (width.Is(Kind::kString)) {
    space = width.text();
  } else {
    SLIM_ASSIGN(const int64_t columns, Integer(width, "the width of an indent"));
    SLIM_TRY(runtime.budget.Text(columns > 0 ? static_cast<uint64_t>(columns) : 0));
    space.assign(columns > 0 ? static_cast<size_t>(columns) : 0, ' ');
  }
  const bool first = Truth(arguments.Or(1, Value::Bool(false)));
  const bool blank = Truth(arguments.Or(2, Value::Bool(false)));
  text += '\n';  // a last line that is empty counts as a line
  const std::vector<std::string_view> lines = SplitLines(text, false);
  std::string out = first ? space : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i > 0 && (blank || !lines[i].empty())) out += space;
    out += lines[i];
    SLIM_TRY(runtime.budget.Steps(1 + (space.size() + lines[i].size()) / 32));
    SLIM_TRY(runtime.budget.Fits(out.size()));
  }
  return Value::String(std::move(out), value.markup());
}

Result<Value> Center(Runtime& runtime, const Value& value, const Bound& arguments) {
  SLIM_ASSIGN(const std::string text, Str(runtime.budget, value));
  SLIM_ASSIGN(const int64_t width, Integer(arguments.Or(0, Value::Integer(80)), "the width"));
  SLIM_ASSIGN(const Value method, GetAttribute(runtime.budget, Value::String(text), "center"));
  return method.callable().Call(runtime, {.positional = {Value::Integer(width)}, .keyword = {}});
}

Result<Value> Truncate(Runtime& runtime, const Value& value, const Bound& arguments) {
  SLIM_ASSIGN(const int64_t length, Integer(arguments.Or(0, Value::Integer(255)), "the length"));
  const bool kill_words = Truth(arguments.Or(1, Value::Bool(false)));
  SLIM_ASSIGN(const std::string end, Str(runtime.budget, arguments.Or(2, Value::String("..."))));
  SLIM_ASSIGN(const int64_t leeway, Integer(arguments.Or(3, Value::Integer(5)), "the leeway"));
  const auto end_length = static_cast<int64_t>(CountCodePoints(end));
  if (length < end_length || leeway < 0) return ValueError("a length or leeway that is too small");
  SLIM_ASSIGN(const uint64_t size, Length(value));
  if (static_cast<int64_t>(size) - length <= leeway) return value;
  if (!value.Is(Kind::kString)) {
    return TypeError(fmt::format("truncate takes text, not {}", TypeName(value)));
  }
  SLIM_TRY(runtime.budget.Text(4 * value.text().size()));
  const std::u32string points = ToCodePoints(value.text());
  std::string kept =
      ToUtf8(std::u32string_view(points).substr(0, static_cast<size_t>(length - end_length)));
  if (!kill_words) kept = kept.substr(0, kept.rfind(' '));
  return MakeString(runtime.budget, kept + end);
}

Result<Value> ToString(Runtime& runtime, const Value& value, const Bound&) {
  if (value.Is(Kind::kString)) return value;
  SLIM_ASSIGN(std::string text, Str(runtime.budget, value));
  return Value::String(std::move(text));
}

Result<Value> Safe(Runtime& runtime, const Value& value, const Bound&) {
  SLIM_ASSIGN(std::string text, Str(runtime.budget, value));
  return Value::String(std::move(text), true);
}

Result<Value> EscapeFilter(Runtime& runtime, const Value& value, const Bound&) {
  if (value.markup()) return value;
  SLIM_ASSIGN(const std::string text, Str(runtime.budget, value));
  return MakeString(runtime.budget, EscapeHtml(text), true);
}

Result<Value> Default(Runtime&, const Value& value, const Bound& arguments) {
  const bool falsy = Truth(arguments.Or(1, Value::Bool(false))) && !Truth(value);
  return value.IsUndefined() || falsy ? arguments.Or(0, Value::String("")) : value;
}

Result<Value> ToInteger(Runtime&, const Value& value, const Bound& arguments) {
  const Value otherwise = arguments.Or(0, Value::Integer(0));
  SLIM_ASSIGN(const int64_t base, Integer(arguments.Or(1, Value::Integer(10)), "the base"));
  if (value.IsIntegral()) return Value::Integer(value.integer());
  if (value.IsUndefined()) return UndefinedError(value.text());
  std::optional<double> real;
  if (value.Is(Kind::kString)) {
    SLIM_ASSIGN(const auto integer, ParseInteger(value.text(), base));
    if (integer) return Value::Integer(*integer);
    real = ParseFloat(value.text());
    if (real && !std::isfinite(*real)) return otherwise;
  } else if (value.Is(Kind::kFloat)) {
    real = value.real();
    if (std::isnan(*real)) return otherwise;
  }
  if (!real) return otherwise;
  if (!(std::abs(*real) < 9223372036854775808.0))
    return Overflow("a float does not fit a 64-bit integer");
  return Value::Integer(static_cast<int64_t>(*real));
}

Result<Value> ToFloat(Runtime&, const Value& value, const Bound& arguments) {
  if (value.IsNumber()) return Value::Float(value.real());
  if (value.IsUndefined()) return UndefinedError(value.text());
  if (value.Is(Kind::kString)) {
    if (const auto real = ParseFloat(value.text())) return Value::Float(*real);
  }
  return arguments.Or(0, Value::Float(0));
}

Result<Value> Abs(Runtime&, const Value& value, const Bound&) {
  if (value.Is(Kind::kFloat)) return Value::Float(std::abs(value.real()));
  if (value.IsIntegral() && value.integer() >= 0) return Value::Integer(value.integer());
  return Negative(value);
}

// Python's round(): half to even of the exact binary value.
double RoundReal(double value, int64_t digits) {
  if (!std::isfinite(value) || digits > 323) return value;
  if (digits < 0) {
    const double unit = std::pow(10.0, static_cast<double>(std::min<int64_t>(-digits, 400)));
    return std::isinf(unit) ? std::copysign(0.0, value) : std::nearbyint(value / unit) * unit;
  }
  std::array<char, 700> buffer;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                          std::chars_format::fixed, static_cast<int>(digits));
  double rounded = value;
  if (error == std::errc()) std::from_chars(buffer.data(), end, rounded);
  return rounded;
}

Result<Value> Round(Runtime&, const Value& value, const Bound& arguments) {
  SLIM_ASSIGN(const int64_t digits, Integer(arguments.Or(0, Value::Integer(0)), "the precision"));
  const Value method = arguments.Or(1, Value::String("common"));
  if (value.IsUndefined()) return UndefinedError(value.text());
  if (!value.IsNumber())
    return TypeError(fmt::format("a value of type {} cannot be rounded", TypeName(value)));
  const std::string name = method.Is(Kind::kString) ? method.text() : "";
  if (name == "common") {
    if (value.Is(Kind::kFloat)) return Value::Float(RoundReal(value.real(), digits));
    if (digits < 0) return Unsupported("rounding an integer to tens is not supported");
    return Value::Integer(value.integer());
  }
  if (name != "ceil" && name != "floor")
    return ValueError("the method must be common, ceil or floor");
  const double scale = std::pow(10.0, static_cast<double>(digits));
  const double scaled = value.real() * scale;
  return Value::Float((name == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Result<Value> ToJsonFilter(Runtime& runtime, const Value& value, const Bound& arguments) {
  JsonFormat format;
  format.ensure_ascii = Truth(arguments.Or(0, Value::Bool(false)));
  const Value indent = arguments.Or(1, Value());
  if (indent.IsIntegral()) {
    const int64_t columns = std::max<int64_t>(0, indent.integer());
    SLIM_TRY(runtime.budget.Text(static_cast<uint64_t>(columns)));
    format.indent = std::string(static_cast<size_t>(columns), ' ');
  } else if (indent.Is(Kind::kString)) {
    format.indent = indent.text();
  } else if (!indent.Is(Kind::kNone)) {
    return TypeError("the indent of tojson must be an integer or text");
  }
  if (format.indent) format.item_separator.assign(1, ',');
  const Value separators = arguments.Or(2, Value());
  if (!separators.Is(Kind::kNone)) {
    const bool two_texts = separators.IsSequence() && separators.items().size() == 2 &&
                           separators.items()[0].Is(Kind::kString) &&
                           separators.items()[1].Is(Kind::kString);
    if (!two_texts) return TypeError("the separators of tojson must be two texts");
    format.item_separator = separators.items()[0].text();
    format.key_separator = separators.items()[1].text();
  }
  format.sort_keys = Truth(arguments.Or(3, Value::Bool(false)));
  SLIM_ASSIGN(std::string text, ToJson(runtime.budget, value, format));
  return Value::String(std::move(text));
}

}  // namespace

const std::vector<Filter>& TextFilters() {
  static const std::vector<Filter> kFilters = {
      {"abs", {}, Abs},
      {"capitalize", {}, Mapped<Capitalize>},
      {"center", {"width"}, Center},
      {"d", {"default_value", "boolean"}, Default},
      {"default", {"default_value", "boolean"}, Default},
      {"e", {}, EscapeFilter},
      {"escape", {}, EscapeFilter},
      {"float", {"default"}, ToFloat},
      {"indent", {"width", "first", "blank"}, Indent},
      {"int", {"default", "base"}, ToInteger},
      {"lower", {}, Mapped<Lower>},
      {"replace", {"old", "new", "count"}, Replace},
      {"round", {"precision", "method"}, Round},
      {"safe", {}, Safe},
      {"string", {}, ToString},
      {"title", {}, TitleFilter},
      {"tojson", {"ensure_ascii", "indent", "separators", "sort_keys"}, ToJsonFilter},
      {"trim", {"chars"}, Trim},
      {"truncate", {"length", "killwords", "end", "leeway"}, Truncate},
      {"upper", {}, Mapped<Upper>}};
  return kFilters;
}

}  // namespace slim::tmpl
