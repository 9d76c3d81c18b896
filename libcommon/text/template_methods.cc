#include "text/template_methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/text.h"
#include "text/template_ops.h"
#include "text/template_print.h"
#include "text/template_text.h"

namespace slim::tmpl {
namespace {

using Bound = BoundArguments;

struct Method {
  std::string_view name;
  std::vector<std::string_view> parameters;
  Result<Value> (*call)(Runtime&, const Value& self, const Bound&);
};

Result<std::string> TextArgument(const Bound& arguments, size_t index, std::string_view what) {
  if (!arguments.Has(index)) return TypeError(fmt::format("argument {} is missing", what));
  if (!arguments[index].Is(Kind::kString)) {
    return TypeError(
        fmt::format("argument {} must be text, not {}", what, TypeName(arguments[index])));
  }
  return arguments[index].text();
}

Result<int64_t> IntegerArgument(const Bound& arguments, size_t index, std::string_view what,
                                std::optional<int64_t> otherwise) {
  if (!arguments.Has(index)) {
    if (otherwise) return *otherwise;
    return TypeError(fmt::format("argument {} is missing", what));
  }
  if (!arguments[index].IsIntegral()) {
    return TypeError(
        fmt::format("argument {} must be an integer, not {}", what, TypeName(arguments[index])));
  }
  return arguments[index].integer();
}

// --- text
// -----------------------------------------------------------------------------------------------------------

template <std::string (*kMap)(std::string_view)>
Result<Value> Mapped(Runtime& runtime, const Value& self, const Bound&) {
  return MakeString(runtime.budget, kMap(self.text()));
}

template <Side kSide>
Result<Value> Stripped(Runtime& runtime, const Value& self, const Bound& arguments) {
  if (!arguments.Has(0) || arguments[0].Is(Kind::kNone)) {
    return MakeString(runtime.budget, std::string(Strip(self.text(), kSide)));
  }
  SLIM_ASSIGN(const std::string characters, TextArgument(arguments, 0, "chars"));
  SLIM_TRY(runtime.budget.Steps(self.text().size() / 32 * (1 + characters.size())));
  return MakeString(runtime.budget, std::string(Strip(self.text(), kSide, characters)));
}

Result<Value> TextList(Runtime& runtime, const std::vector<std::string_view>& parts) {
  SLIM_TRY(runtime.budget.Steps(parts.size()));
  Values items;
  items.reserve(parts.size());
  for (const std::string_view part : parts) {
    SLIM_ASSIGN(Value item, MakeString(runtime.budget, std::string(part)));
    items.push_back(std::move(item));
  }
  return Value::List(std::move(items));
}

template <bool kFromRight>
Result<Value> SplitMethod(Runtime& runtime, const Value& self, const Bound& arguments) {
  SLIM_ASSIGN(const int64_t max_splits, IntegerArgument(arguments, 1, "maxsplit", -1));
  std::optional<std::string> separator;
  if (arguments.Has(0) && !arguments[0].Is(Kind::kNone)) {
    SLIM_ASSIGN(separator, TextArgument(arguments, 0, "sep"));
    if (separator->empty()) return ValueError("an empty separator");
  }
  SLIM_TRY(runtime.budget.Steps(self.text().size() / 16));
  return TextList(runtime, SplitText(self.text(), separator, max_splits, kFromRight));
}

Result<Value> SplitLinesMethod(Runtime& runtime, const Value& self, const Bound& arguments) {
  SLIM_TRY(runtime.budget.Steps(self.text().size() / 16));
  return TextList(runtime, SplitLines(self.text(), Truth(arguments.Or(0, Value::Bool(false)))));
}

// The part of the text that arguments start and end (at `first`, `first` + 1) name, in code points,
// and the index where it begins; nothing when start is behind the end of the text.
struct Part {
  std::string_view text;
  int64_t begin = 0;
};
Result<std::optional<Part>> PartOf(const Value& self, const Bound& arguments, size_t first) {
  const auto length = static_cast<int64_t>(CountCodePoints(self.text()));
  const auto bound = [&](size_t index, int64_t otherwise) -> Result<int64_t> {
    if (arguments.Has(index) && arguments[index].Is(Kind::kNone)) return otherwise;
    return IntegerArgument(arguments, index, "start or end", otherwise);
  };
  SLIM_ASSIGN(int64_t begin, bound(first, 0));
  SLIM_ASSIGN(int64_t end, bound(first + 1, length));
  if (begin < 0) begin = std::max<int64_t>(0, begin + length);
  end = end < 0 ? std::max<int64_t>(0, end + length) : std::min(end, length);
  if (begin > end) return std::optional<Part>();
  const std::string_view text = self.text();
  size_t byte = 0;
  for (int64_t i = 0; i < begin; ++i) NextCodePoint(text, byte);
  size_t last = byte;
  for (int64_t i = begin; i < end; ++i) NextCodePoint(text, last);
  return std::optional<Part>({text.substr(byte, last - byte), begin});
}

template <bool kAtEnd>
Result<Value> HasAffix(Runtime& runtime, const Value& self, const Bound& arguments) {
  SLIM_TRY(runtime.budget.Steps(arguments.Has(1) ? self.text().size() / 32 : 0));
  SLIM_ASSIGN(const auto part, PartOf(self, arguments, 1));
  Values affixes = {arguments.Or(0, Value())};
  if (affixes[0].Is(Kind::kTuple)) affixes = Values(affixes[0].items());
  SLIM_TRY(runtime.budget.Steps(affixes.size()));
  for (const Value& affix : affixes) {
    if (!affix.Is(Kind::kString)) {
      return TypeError(fmt::format("startswith and endswith take text or a tuple of text, not {}",
                                   TypeName(affix)));
    }
    if (part &&
        (kAtEnd ? part->text.ends_with(affix.text()) : part->text.starts_with(affix.text()))) {
      return Value::Bool(true);
    }
  }
  return Value::Bool(false);
}

template <bool kFromRight>
Result<int64_t> Find(Runtime& runtime, const Value& self, const Bound& arguments) {
  SLIM_TRY(runtime.budget.Steps(self.text().size() / 32));
  SLIM_ASSIGN(const std::string wanted, TextArgument(arguments, 0, "sub"));
  SLIM_ASSIGN(const auto part, PartOf(self, arguments, 1));
  if (!part) return -1;
  const size_t at = kFromRight ? part->text.rfind(wanted) : part->text.find(wanted);
  if (at == std::string_view::npos) return -1;
  return part->begin + static_cast<int64_t>(CountCodePoints(part->text.substr(0, at)));
}

template <bool kFromRight>
Result<Value> FindMethodOfText(Runtime& runtime, const Value& self, const Bound& arguments) {
  SLIM_ASSIGN(const int64_t at, Find<kFromRight>(runtime, self, arguments));
  return Value::Integer(at);
}

template <bool kFromRight>
Result<Value> IndexOfText(Runtime& runtime, const Value& self, const Bound& arguments) {
  SLIM_ASSIGN(const int64_t at, Find<kFromRight>(runtime, self, arguments));
  if (at < 0) return ValueError("the text is not found");
  return Value::Integer(at);
}

Result<Value> CountMethod(Runtime& runtime, const Value& self, const Bound& arguments) {
  SLIM_TRY(runtime.budget.Steps(self.text().size() / 32));
  SLIM_ASSIGN(const std::string wanted, TextArgument(arguments, 0, "sub"));
  SLIM_ASSIGN(const auto part, PartOf(self, arguments, 1));
  return Value::Integer(part ? static_cast<int64_t>(CountText(part->text, wanted)) : 0);
}

Result<Value> ReplaceMethod(Runtime& runtime, const Value& self, const Bound& arguments) {
  SLIM_ASSIGN(const std::string from, TextArgument(arguments, 0, "old"));
  SLIM_ASSIGN(const std::string to, TextArgument(arguments, 1, "new"));
  SLIM_ASSIGN(const int64_t count, IntegerArgument(arguments, 2, "count", -1));
  // What it would make at most; replacing by something longer must not run away.
  const uint64_t hits = CountText(self.text(), from);
  SLIM_TRY(runtime.budget.Text(self.text().size() +
                               (to.size() > from.size() ? hits * (to.size() - from.size()) : 0)));
  return MakeString(runtime.budget, ReplaceText(self.text(), from, to, count));
}

Result<Value> JoinMethod(Runtime& runtime, const Value& self, const Bound& arguments) {
  SLIM_ASSIGN(const Values items, Elements(runtime.budget, arguments.Or(0, Value())));
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].Is(Kind::kString)) {
      return TypeError(
          fmt::format("join takes text, item {} is of type {}", i, TypeName(items[i])));
    }
    SLIM_TRY(runtime.budget.Fits(out.size() + self.text().size() + items[i].text().size()));
    if (i > 0) out += self.text();
    out += items[i].text();
  }
  return MakeString(runtime.budget, std::move(out));
}

template <bool kSuffix>
Result<Value> WithoutAffix(Runtime& runtime, const Value& self, const Bound& arguments) {
  SLIM_ASSIGN(const std::string affix, TextArgument(arguments, 0, kSuffix ? "suffix" : "prefix"));
  std::string_view text = self.text();
  if (kSuffix && text.ends_with(affix)) text.remove_suffix(affix.size());
  if (!kSuffix && text.starts_with(affix)) text.remove_prefix(affix.size());
  return MakeString(runtime.budget, std::string(text));
}

template <bool kFromRight>
Result<Value> Partition(Runtime& runtime, const Value& self, const Bound& arguments) {
  SLIM_ASSIGN(const std::string separator, TextArgument(arguments, 0, "sep"));
  if (separator.empty()) return ValueError("an empty separator");
  const std::string& text = self.text();
  SLIM_TRY(runtime.budget.Text(text.size()));
  const size_t at = kFromRight ? text.rfind(separator) : text.find(separator);
  Values parts = {Value::String(""), Value::String(""), Value::String("")};
  if (at == std::string::npos) {
    parts[kFromRight ? 2 : 0] = self;
  } else {
    parts = {Value::String(text.substr(0, at)), Value::String(separator),
             Value::String(text.substr(at + separator.size()))};
  }
  return Value::Tuple(std::move(parts));
}

// Every character passes, and there is one.
template <bool (*kTest)(CodePoint)>
Result<Value> AllCharacters(Runtime& runtime, const Value& self, const Bound&) {
  SLIM_TRY(runtime.budget.Steps(self.text().size() / 32));
  for (size_t at = 0; at < self.text().size();) {
    if (!kTest(NextCodePoint(self.text(), at))) return Value::Bool(false);
  }
  return Value::Bool(!self.text().empty());
}

bool IsAlnum(CodePoint point) { return IsAlpha(point) || IsNumeric(point); }

Result<Value> IsAscii(Runtime&, const Value& self, const Bound&) {
  return Value::Bool(
      CountCodePoints(self.text()) == self.text().size() &&
      std::all_of(self.text().begin(), self.text().end(), [](char c) { return c >= 0; }));
}

// A cased character exists and none has the other case.
template <bool kUpper>
Result<Value> AllCased(Runtime& runtime, const Value& self, const Bound&) {
  SLIM_TRY(runtime.budget.Steps(self.text().size() / 32));
  bool cased = false;
  for (size_t at = 0; at < self.text().size();) {
    const CodePoint point = NextCodePoint(self.text(), at);
    if (kUpper ? IsLower(point) : IsUpper(point)) return Value::Bool(false);
    cased = cased || (kUpper ? IsUpper(point) : IsLower(point));
  }
  return Value::Bool(cased);
}

enum class Align : uint8_t { kLeft, kRight, kCenter };
template <Align kAlign>
Result<Value> Padded(Runtime& runtime, const Value& self, const Bound& arguments) {
  SLIM_ASSIGN(const int64_t width, IntegerArgument(arguments, 0, "width", std::nullopt));
  std::string fill = " ";
  if (arguments.Has(1)) {
    SLIM_ASSIGN(fill, TextArgument(arguments, 1, "fillchar"));
    if (CountCodePoints(fill) != 1) return TypeError("the fill must be one character");
  }
  const auto length = static_cast<int64_t>(CountCodePoints(self.text()));
  if (width <= length) return self;
  const int64_t margin = width - length;
  SLIM_TRY(runtime.budget.Text(self.text().size() + static_cast<uint64_t>(margin) * fill.size()));
  const int64_t left = kAlign == Align::kLeft    ? 0
                       : kAlign == Align::kRight ? margin
                                                 : margin / 2 + (margin & width & 1);
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += self.text();
  for (int64_t i = left; i < margin; ++i) out += fill;
  return Value::String(std::move(out));
}

Result<Value> ZeroFilled(Runtime& runtime, const Value& self, const Bound& arguments) {
  SLIM_ASSIGN(const int64_t width, IntegerArgument(arguments, 0, "width", std::nullopt));
  const auto length = static_cast<int64_t>(CountCodePoints(self.text()));
  if (width <= length) return self;
  SLIM_TRY(runtime.budget.Text(self.text().size() + static_cast<uint64_t>(width - length)));
  const bool sign = self.text().starts_with('+') || self.text().starts_with('-');
  std::string out = self.text();
  out.insert(sign ? 1 : 0, static_cast<size_t>(width - length), '0');
  return Value::String(std::move(out));
}

const std::vector<Method>& TextMethods() {
  static const std::vector<Method> kMethods = {
      {"capitalize", {}, Mapped<Capitalize>},
      {"center", {"width", "fillchar", "/"}, Padded<Align::kCenter>},
      {"count", {"sub", "start", "end", "/"}, CountMethod},
      {"endswith", {"suffix", "start", "end", "/"}, HasAffix<true>},
      {"find", {"sub", "start", "end", "/"}, FindMethodOfText<false>},
      {"index", {"sub", "start", "end", "/"}, IndexOfText<false>},
      {"isalnum", {}, AllCharacters<IsAlnum>},
      {"isalpha", {}, AllCharacters<IsAlpha>},
      {"isascii", {}, IsAscii},
      {"isdecimal", {}, AllCharacters<IsDecimal>},
      {"isdigit", {}, AllCharacters<IsDigit>},
      {"islower", {}, AllCased<false>},
      {"isnumeric", {}, AllCharacters<IsNumeric>},
      {"isspace", {}, AllCharacters<IsSpace>},
      {"isupper", {}, AllCased<true>},
      {"join", {"iterable", "/"}, JoinMethod},
      {"ljust", {"width", "fillchar", "/"}, Padded<Align::kLeft>},
      {"lower", {}, Mapped<Lower>},
      {"lstrip", {"chars", "/"}, Stripped<Side::kLeft>},
      {"partition", {"sep", "/"}, Partition<false>},
      {"removeprefix", {"prefix", "/"}, WithoutAffix<false>},
      {"removesuffix", {"suffix", "/"}, WithoutAffix<true>},
      {"replace", {"old", "new", "count", "/"}, ReplaceMethod},
      {"rfind", {"sub", "start", "end", "/"}, FindMethodOfText<true>},
      {"rindex", {"sub", "start", "end", "/"}, IndexOfText<true>},
      {"rjust", {"width", "fillchar", "/"}, Padded<Align::kRight>},
      {"rpartition", {"sep", "/"}, Partition<true>},
      {"rsplit", {"sep", "maxsplit"}, SplitMethod<true>},
      {"rstrip", {"chars", "/"}, Stripped<Side::kRight>},
      {"split", {"sep", "maxsplit"}, SplitMethod<false>},
      {"splitlines", {"keepends"}, SplitLinesMethod},
      {"startswith", {"prefix", "start", "end", "/"}, HasAffix<false>},
      {"strip", {"chars", "/"}, Stripped<Side::kBoth>},
      {"swapcase", {}, Mapped<SwapCase>},
      {"title", {}, Mapped<TitleCase>},
      {"upper", {}, Mapped<Upper>},
      {"zfill", {"width", "/"}, ZeroFilled}};
  return kMethods;
}

// --- lists, tuples, dicts
// -------------------------------------------------------------------------------------------

Result<Value> CountItems(Runtime& runtime, const Value& self, const Bound& arguments) {
  int64_t count = 0;
  for (const Value& item : self.items()) {
    SLIM_ASSIGN(const bool equal, Equal(runtime.budget, item, arguments.Or(0, Value())));
    count += equal ? 1 : 0;
  }
  return Value::Integer(count);
}

Result<Value> IndexOfItem(Runtime& runtime, const Value& self, const Bound& arguments) {
  for (size_t i = 0; i < self.items().size(); ++i) {
    SLIM_ASSIGN(const bool equal, Equal(runtime.budget, self.items()[i], arguments.Or(0, Value())));
    if (equal) return Value::Integer(static_cast<int64_t>(i));
  }
  return ValueError("the value is not in the list");
}

// Values are immutable: the object itself is its copy.
Result<Value> Copy(Runtime&, const Value& self, const Bound&) { return self; }

Result<Value> DictGet(Runtime& runtime, const Value& self, const Bound& arguments) {
  if (!arguments.Has(0)) return TypeError("get needs a key");
  SLIM_ASSIGN(const Value* found, FindKey(runtime.budget, self.entries(), arguments[0]));
  return found != nullptr ? *found : arguments.Or(1, Value());
}

Result<Value> DictItems(Runtime&, const Value& self, const Bound&) {
  return Value::View(self, "items");
}
Result<Value> DictKeys(Runtime&, const Value& self, const Bound&) {
  return Value::View(self, "keys");
}
Result<Value> DictValues(Runtime&, const Value& self, const Bound&) {
  return Value::View(self, "values");
}

const std::vector<Method>& ListMethods() {
  static const std::vector<Method> kMethods = {{"copy", {}, Copy},
                                               {"count", {"value", "/"}, CountItems},
                                               {"index", {"value", "/"}, IndexOfItem}};
  return kMethods;
}

const std::vector<Method>& TupleMethods() {
  static const std::vector<Method> kMethods = {{"count", {"value", "/"}, CountItems},
                                               {"index", {"value", "/"}, IndexOfItem}};
  return kMethods;
}

const std::vector<Method>& DictMethods() {
  static const std::vector<Method> kMethods = {{"copy", {}, Copy},
                                               {"get", {"key", "default", "/"}, DictGet},
                                               {"items", {}, DictItems},
                                               {"keys", {}, DictKeys},
                                               {"values", {}, DictValues}};
  return kMethods;
}

constexpr std::array<std::string_view, 8> kListChanges = {"append", "clear",  "extend",  "insert",
                                                          "pop",    "remove", "reverse", "sort"};
constexpr std::array<std::string_view, 5> kDictChanges = {"clear", "pop", "popitem", "setdefault",
                                                          "update"};
constexpr std::array<std::string_view, 10> kTextLeftOut = {
    "casefold",     "encode",      "expandtabs", "format",    "format_map",
    "isidentifier", "isprintable", "istitle",    "maketrans", "translate"};
constexpr std::array<std::string_view, 1> kDictLeftOut = {"fromkeys"};

constexpr std::array<std::string_view, 5> kRangeLeftOut = {"count", "index", "start", "stop",
                                                           "step"};

const std::vector<Method>& RangeMethods() {
  static const std::vector<Method> kNone;
  return kNone;
}

// What FindMethod knows of one type.
struct TypeMethods {
  const std::vector<Method>* methods = nullptr;
  std::span<const std::string_view> changes;
  std::span<const std::string_view> left_out;
};

TypeMethods MethodsOf(const Value& receiver) {
  switch (receiver.kind()) {
    case Kind::kString:
      return {&TextMethods(), {}, kTextLeftOut};
    case Kind::kList:
      return {&ListMethods(), kListChanges, {}};
    case Kind::kTuple:
      return {&TupleMethods(), {}, {}};
    case Kind::kDict:
      return {&DictMethods(), kDictChanges, kDictLeftOut};
    case Kind::kRange:
      return {&RangeMethods(), {}, kRangeLeftOut};
    default:
      return {};
  }
}

class BoundMethod final : public CallableObject {
 public:
  BoundMethod(const Method* method, Value self) : method_(method), self_(std::move(self)) {
    name = method->name;
  }

  Result<Value> Call(Runtime& runtime, const Arguments& arguments) override {
    if (self_.markup() && !(arguments.positional.empty() && arguments.keyword.empty())) {
      return Unsupported(fmt::format("method '{}' of text marked as safe is not supported", name));
    }
    SLIM_ASSIGN(const Bound bound,
                Bound::Bind(fmt::format("method '{}'", name), arguments, method_->parameters));
    SLIM_ASSIGN(Value result, method_->call(runtime, self_, bound));
    return self_.markup() ? Marked(result) : result;
  }

  static Value Marked(const Value& value) {
    if (value.Is(Kind::kString)) return Value::String(value.text(), true);
    if (!value.Is(Kind::kList)) return value;
    Values items;
    for (const Value& item : value.items()) items.push_back(Marked(item));
    return Value::List(std::move(items));
  }

 private:
  const Method* method_;
  Value self_;
};

class LeftOutMethod final : public CallableObject {
 public:
  explicit LeftOutMethod(std::string_view method) { name = method; }
  Result<Value> Call(Runtime&, const Arguments&) override {
    return Unsupported(fmt::format("method '{}' is not supported", name));
  }
};

}  // namespace

std::optional<Value> FindMethod(const Value& receiver, std::string_view name) {
  const TypeMethods known = MethodsOf(receiver);
  if (known.methods == nullptr) return std::nullopt;
  const auto method = std::find_if(known.methods->begin(), known.methods->end(),
                                   [&](const Method& m) { return m.name == name; });
  if (method != known.methods->end()) {
    return Value::Of(std::make_shared<BoundMethod>(&*method, receiver), receiver.depth() + 1);
  }
  if (std::find(known.changes.begin(), known.changes.end(), name) != known.changes.end()) {
    return Value::Undefined(fmt::format("method '{}' would change a {}, which a template may not",
                                        name, TypeName(receiver)));
  }
  if (std::find(known.left_out.begin(), known.left_out.end(), name) != known.left_out.end()) {
    return Value::Of(std::make_shared<LeftOutMethod>(name), 0);
  }
  return std::nullopt;
}

}  // namespace slim::tmpl
