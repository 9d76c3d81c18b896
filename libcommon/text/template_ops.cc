#include "text/template_ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"
#include "text/template_print.h"
#include "text/template_text.h"

namespace slim::tmpl {

namespace {
// A container costs several times the memory of an element.
constexpr uint64_t kContainerSteps = 4;
}  // namespace

bool Truth(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInteger:
      return value.integer() != 0;
    case Kind::kFloat:
      return value.real() != 0;
    case Kind::kString:
      return !value.text().empty();
    case Kind::kList:
    case Kind::kTuple:
      return !value.items().empty();
    case Kind::kDict:
      return !value.entries().empty();
    case Kind::kRange:
      return value.range().Length() > 0;
    case Kind::kView:
      return !value.view().dict.entries().empty();
    default:
      return true;
  }
}

bool Same(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kNone:
      return true;
    case Kind::kBool:
    case Kind::kInteger:
      return a.integer() == b.integer();
    case Kind::kFloat:
      return a.real() == b.real();
    case Kind::kString:
      return a.text() == b.text();
    default:
      return a.identity() == b.identity();
  }
}

namespace {

// Exact, unlike the conversion of a 64-bit integer to double.
int CompareNumbers(const Value& a, const Value& b) {
  const auto compare = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2; };
  if (a.IsIntegral() && b.IsIntegral()) return compare(a.integer(), b.integer());
  if (!a.IsIntegral() && !b.IsIntegral()) return compare(a.real(), b.real());
  static_assert(std::numeric_limits<long double>::digits >= 64);
  const auto wide = [](const Value& v) {
    return v.IsIntegral() ? static_cast<long double>(v.integer())
                          : static_cast<long double>(v.real());
  };
  return compare(wide(a), wide(b));
}

Result<bool> EqualSequences(Budget& budget, const Values& a, const Values& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    SLIM_ASSIGN(const bool equal, Equal(budget, a[i], b[i]));
    if (!equal) return false;
  }
  return true;
}

Result<bool> EqualDicts(Budget& budget, const Entries& a, const Entries& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [key, value] : a) {
    SLIM_ASSIGN(const Value* other, FindKey(budget, b, key));
    if (other == nullptr) return false;
    SLIM_ASSIGN(const bool equal, Equal(budget, value, *other));
    if (!equal) return false;
  }
  return true;
}

bool EqualRanges(const RangeObject& a, const RangeObject& b) {
  const uint64_t length = a.Length();
  return length == b.Length() &&
         (length == 0 || (a.start == b.start && (length == 1 || a.step == b.step)));
}

}  // namespace

Result<bool> Equal(Budget& budget, const Value& a, const Value& b) {
  SLIM_TRY(budget.Steps(1));
  if (a.IsNumber() && b.IsNumber()) return CompareNumbers(a, b) == 0;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      SLIM_TRY(budget.Steps(a.text().size() == b.text().size() ? a.text().size() / 1024 : 0));
      return a.text() == b.text();
    case Kind::kList:
    case Kind::kTuple:
      return EqualSequences(budget, a.items(), b.items());
    case Kind::kDict:
      return EqualDicts(budget, a.entries(), b.entries());
    case Kind::kRange:
      return EqualRanges(a.range(), b.range());
    default:
      return a.identity() == b.identity();
  }
}

Result<bool> Less(Budget& budget, const Value& a, const Value& b) {
  SLIM_TRY(budget.Steps(1));
  if (a.IsNumber() && b.IsNumber()) return CompareNumbers(a, b) == -1;
  if (a.Is(Kind::kString) && b.Is(Kind::kString)) {
    SLIM_TRY(budget.Steps(std::min(a.text().size(), b.text().size()) / 1024));
    return a.text() < b.text();  // the order of UTF-8 bytes is the order of code points
  }
  if (a.IsSequence() && a.kind() == b.kind()) {
    const size_t shared = std::min(a.items().size(), b.items().size());
    for (size_t i = 0; i < shared; ++i) {
      SLIM_ASSIGN(const bool equal, Equal(budget, a.items()[i], b.items()[i]));
      if (!equal) return Less(budget, a.items()[i], b.items()[i]);
    }
    return a.items().size() < b.items().size();
  }
  if (a.IsUndefined()) return UndefinedError(a.text());
  if (b.IsUndefined()) return UndefinedError(b.text());
  return TypeError(fmt::format("values of type {} and {} have no order", TypeName(a), TypeName(b)));
}

Result<bool> CompareBy(Budget& budget, std::string_view name, const Value& a, const Value& b) {
  if (name == "in") return Contains(budget, b, a);
  if (name == "not in") {
    SLIM_ASSIGN(const bool found, Contains(budget, b, a));
    return !found;
  }
  if (name == "<") return Less(budget, a, b);
  if (name == ">") return Less(budget, b, a);
  if (name == "==" || name == "!=") {
    SLIM_ASSIGN(const bool equal, Equal(budget, a, b));
    return equal == (name == "==");
  }
  if (a.IsNumber() && b.IsNumber()) {
    const int order = CompareNumbers(a, b);
    return order == 0 || order == (name == "<=" ? -1 : 1);
  }
  // Total orders only: a <= b is not b < a.
  SLIM_ASSIGN(const bool greater, name == "<=" ? Less(budget, b, a) : Less(budget, a, b));
  return !greater;
}

Result<bool> Contains(Budget& budget, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kUndefined:
      return false;
    case Kind::kString:
      if (item.IsUndefined() || !item.Is(Kind::kString)) {
        return TypeError(fmt::format("'in <text>' needs text, not {}", TypeName(item)));
      }
      SLIM_TRY(budget.Steps(container.text().size() / 128));
      return container.text().find(item.text()) != std::string::npos;
    case Kind::kDict: {
      SLIM_ASSIGN(const Value* found, FindKey(budget, container.entries(), item));
      return found != nullptr;
    }
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
    case Kind::kView:
    case Kind::kIterator:
      break;
    default:
      return TypeError(
          fmt::format("a value of type {} has no members to look through", TypeName(container)));
  }
  if (container.Is(Kind::kView) && container.view().what == "keys") {
    return Contains(budget, container.view().dict, item);
  }
  if (container.Is(Kind::kIterator)) {
    IteratorObject& iterator = container.iterator();
    while (iterator.next < iterator.items.size()) {
      SLIM_ASSIGN(const bool equal, Equal(budget, iterator.items[iterator.next++], item));
      if (equal) return true;
    }
    return false;
  }
  SLIM_ASSIGN(const Values items, Elements(budget, container));
  for (const Value& candidate : items) {
    SLIM_ASSIGN(const bool equal, Equal(budget, candidate, item));
    if (equal) return true;
  }
  return false;
}

Result<uint64_t> Length(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return uint64_t{0};
    case Kind::kString:
      return CountCodePoints(value.text());
    case Kind::kList:
    case Kind::kTuple:
      return value.items().size();
    case Kind::kDict:
      return value.entries().size();
    case Kind::kRange:
      return value.range().Length();
    case Kind::kView:
      return value.view().dict.entries().size();
    default:
      return TypeError(fmt::format("a value of type {} has no length", TypeName(value)));
  }
}

namespace {

Result<Values> Characters(Budget& budget, std::string_view text) {
  SLIM_TRY(budget.Steps(2 * text.size()));
  Values items;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    NextCodePoint(text, at);
    items.push_back(Value::String(std::string(text.substr(begin, at - begin))));
  }
  return items;
}

Result<Values> ViewElements(Budget& budget, const ViewObject& view) {
  const Entries& entries = view.dict.entries();
  SLIM_TRY(budget.Steps((kContainerSteps + 2) * entries.size()));
  Values items;
  items.reserve(entries.size());
  for (const auto& [key, value] : entries) {
    items.push_back(view.what == "keys"     ? key
                    : view.what == "values" ? value
                                            : Value::Tuple({key, value}));
  }
  return items;
}

}  // namespace

Result<Values> Elements(Budget& budget, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return Values();
    case Kind::kString:
      return Characters(budget, value.text());
    case Kind::kList:
    case Kind::kTuple:
      SLIM_TRY(budget.Steps(value.items().size()));
      return value.items();
    case Kind::kDict:
    case Kind::kView: {
      ViewObject keys;
      keys.dict = value;
      keys.what = "keys";
      return ViewElements(budget, value.Is(Kind::kView) ? value.view() : keys);
    }
    case Kind::kRange: {
      const RangeObject& range = value.range();
      SLIM_TRY(budget.Steps(range.Length()));
      Values items;
      for (uint64_t i = 0; i < range.Length(); ++i) items.push_back(Value::Integer(range.At(i)));
      return items;
    }
    case Kind::kIterator: {
      IteratorObject& iterator = value.iterator();
      SLIM_TRY(budget.Steps(iterator.items.size() - iterator.next));
      Values items(iterator.items.begin() + static_cast<std::ptrdiff_t>(iterator.next),
                   iterator.items.end());
      iterator.next = iterator.items.size();
      return items;
    }
    default:
      return TypeError(fmt::format("a value of type {} cannot be iterated", TypeName(value)));
  }
}

Result<Value> MakeList(Budget& budget, Values items) {
  SLIM_TRY(budget.Steps(kContainerSteps + items.size()));
  Value list = Value::List(std::move(items));
  SLIM_TRY(budget.Depth(list.depth()));
  return list;
}

Result<Value> MakeTuple(Budget& budget, Values items) {
  SLIM_TRY(budget.Steps(kContainerSteps + items.size()));
  Value tuple = Value::Tuple(std::move(items));
  SLIM_TRY(budget.Depth(tuple.depth()));
  return tuple;
}

Result<Value> MakeIterator(Budget& budget, Values items) {
  SLIM_TRY(budget.Steps(kContainerSteps + items.size()));
  Value iterator = Value::Iterator(std::move(items));
  SLIM_TRY(budget.Depth(iterator.depth()));
  return iterator;
}

Result<Value> MakeDict(Budget& budget, Entries entries) {
  SLIM_TRY(budget.Steps(kContainerSteps + entries.size()));
  Value dict = Value::Dict(std::move(entries));
  SLIM_TRY(budget.Depth(dict.depth()));
  return dict;
}

Result<Value> MakeString(Budget& budget, std::string text, bool markup) {
  SLIM_TRY(budget.Text(text.size()));
  return Value::String(std::move(text), markup);
}

Result<const Value*> FindKey(Budget& budget, const Entries& entries, const Value& key) {
  switch (key.kind()) {
    case Kind::kList:
    case Kind::kDict:
    case Kind::kView:
      return TypeError(fmt::format("a value of type {} cannot be a key", TypeName(key)));
    default:
      break;
  }
  SLIM_TRY(budget.Steps(1 + entries.size() / 8));
  for (const auto& [name, value] : entries) {
    if (key.Is(Kind::kString) && name.Is(Kind::kString)) {
      if (name.text() == key.text()) return &value;
      continue;
    }
    SLIM_ASSIGN(const bool equal, Equal(budget, name, key));
    if (equal) return &value;
  }
  return nullptr;
}

Status SetKey(Budget& budget, Entries& entries, const Value& key, Value value) {
  SLIM_ASSIGN(const Value* found, FindKey(budget, entries, key));
  if (found != nullptr) {
    entries[static_cast<size_t>(
                std::find_if(entries.begin(), entries.end(),
                             [&](const auto& entry) { return &entry.second == found; }) -
                entries.begin())]
        .second = std::move(value);
  } else {
    entries.emplace_back(key, std::move(value));
  }
  return {};
}

}  // namespace slim::tmpl
