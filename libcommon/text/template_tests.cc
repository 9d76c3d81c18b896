// The tests (x is …) of template_filters.h.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "text/template_filters.h"
#include "text/template_ops.h"
#include "text/template_print.h"
#include "text/template_text.h"

namespace slim::tmpl {
namespace {

struct Test {
  std::string_view name;
  size_t arguments;  // how many it takes
  Result<bool> (*call)(Runtime&, const Value&, const Value* arguments);
};

template <Kind kKind>
Result<bool> HasKind(Runtime&, const Value& value, const Value*) {
  return value.Is(kKind);
}

template <int64_t kRemainder>
Result<bool> Parity(Runtime& runtime, const Value& value, const Value*) {
  SLIM_ASSIGN(const Value remainder, Arithmetic(runtime.budget, "%", value, Value::Integer(2)));
  return remainder.real() == static_cast<double>(kRemainder);
}

Result<bool> DivisibleBy(Runtime& runtime, const Value& value, const Value* arguments) {
  SLIM_ASSIGN(const Value remainder, Arithmetic(runtime.budget, "%", value, arguments[0]));
  return remainder.real() == 0;
}

template <char kFirst, char kSecond = '\0'>
Result<bool> Compared(Runtime& runtime, const Value& value, const Value* arguments) {
  constexpr char kName[] = {kFirst, kSecond, '\0'};
  return CompareBy(runtime.budget, kName, value, arguments[0]);
}

Result<bool> In(Runtime& runtime, const Value& value, const Value* arguments) {
  return Contains(runtime.budget, arguments[0], value);
}

Result<bool> Iterable(Runtime&, const Value& value, const Value*) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kRange:
    case Kind::kView:
    case Kind::kIterator:
    case Kind::kLoop:
      return true;
    default:
      return false;
  }
}

// Has a length and takes subscripts; Jinja's undefined has both.
Result<bool> Sequence(Runtime&, const Value& value, const Value*) {
  return value.IsSequence() || value.Is(Kind::kString) || value.Is(Kind::kDict) ||
         value.Is(Kind::kRange) || value.IsUndefined();
}

template <bool kUpper>
Result<bool> Cased(Runtime& runtime, const Value& value, const Value*) {
  SLIM_ASSIGN(const std::string text, Str(runtime.budget, value));
  bool cased = false;
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = NextCodePoint(text, at);
    if (kUpper ? IsLower(point) : IsUpper(point)) return false;
    cased = cased || (kUpper ? IsUpper(point) : IsLower(point));
  }
  return cased;
}

template <bool kFilter>
Result<bool> Known(Runtime&, const Value& value, const Value*) {
  if (value.Is(Kind::kList) || value.Is(Kind::kDict)) {
    return TypeError(fmt::format("a value of type {} cannot be a name", TypeName(value)));
  }
  if (!value.Is(Kind::kString)) return false;
  return kFilter ? HasFilter(value.text()) : HasTest(value.text());
}

const std::vector<Test>& Tests() {
  static const std::vector<Test> kTests = {
      {"!=", 1, Compared<'!', '='>},
      {"<", 1, Compared<'<'>},
      {"<=", 1, Compared<'<', '='>},
      {"==", 1, Compared<'=', '='>},
      {">", 1, Compared<'>'>},
      {">=", 1, Compared<'>', '='>},
      {"boolean", 0, HasKind<Kind::kBool>},
      {"callable", 0,
       [](Runtime&, const Value& v, const Value*) -> Result<bool> {
         return v.Is(Kind::kCallable) || v.Is(Kind::kLoop) || v.IsUndefined();
       }},
      {"defined", 0,
       [](Runtime&, const Value& v, const Value*) -> Result<bool> { return !v.IsUndefined(); }},
      {"divisibleby", 1, DivisibleBy},
      {"eq", 1, Compared<'=', '='>},
      {"equalto", 1, Compared<'=', '='>},
      {"escaped", 0,
       [](Runtime&, const Value& v, const Value*) -> Result<bool> { return v.markup(); }},
      {"even", 0, Parity<0>},
      {"false", 0,
       [](Runtime&, const Value& v, const Value*) -> Result<bool> {
         return v.Is(Kind::kBool) && !v.boolean();
       }},
      {"filter", 0, Known<true>},
      {"float", 0, HasKind<Kind::kFloat>},
      {"ge", 1, Compared<'>', '='>},
      {"greaterthan", 1, Compared<'>'>},
      {"gt", 1, Compared<'>'>},
      {"in", 1, In},
      {"integer", 0, HasKind<Kind::kInteger>},
      {"iterable", 0, Iterable},
      {"le", 1, Compared<'<', '='>},
      {"lessthan", 1, Compared<'<'>},
      {"lower", 0, Cased<false>},
      {"lt", 1, Compared<'<'>},
      {"mapping", 0, HasKind<Kind::kDict>},
      {"ne", 1, Compared<'!', '='>},
      {"none", 0, HasKind<Kind::kNone>},
      {"number", 0,
       [](Runtime&, const Value& v, const Value*) -> Result<bool> { return v.IsNumber(); }},
      {"odd", 0, Parity<1>},
      {"sameas", 1,
       [](Runtime&, const Value& v, const Value* o) -> Result<bool> { return Same(v, o[0]); }},
      {"sequence", 0, Sequence},
      {"string", 0, HasKind<Kind::kString>},
      {"test", 0, Known<false>},
      {"true", 0,
       [](Runtime&, const Value& v, const Value*) -> Result<bool> {
         return v.Is(Kind::kBool) && v.boolean();
       }},
      {"undefined", 0, HasKind<Kind::kUndefined>},
      {"upper", 0, Cased<true>}};
  return kTests;
}

const Test* FindTest(std::string_view name) {
  const auto found = std::find_if(Tests().begin(), Tests().end(),
                                  [&](const Test& test) { return test.name == name; });
  return found == Tests().end() ? nullptr : &*found;
}

}  // namespace

bool HasTest(std::string_view name) { return FindTest(name) != nullptr; }

Result<bool> ApplyTest(Runtime& runtime, std::string_view name, const Value& value,
                       const Arguments& arguments) {
  const Test* test = FindTest(name);
  if (test == nullptr) return SyntaxError(fmt::format("there is no test {}", Quote(name)));
  if (!arguments.keyword.empty() || arguments.positional.size() != test->arguments) {
    return TypeError(fmt::format("test '{}' takes {} arguments", name, test->arguments));
  }
  return test->call(runtime, value, arguments.positional.data());
}

}  // namespace slim::tmpl
