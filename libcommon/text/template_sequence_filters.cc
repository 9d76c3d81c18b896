// Filters over sequences. Those that are lazy in Jinja work at once here and give an iterator,
// which reading uses up.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "text/template_filters.h"
#include "text/template_ops.h"
#include "text/template_print.h"
#include "text/template_text.h"

namespace slim::tmpl {
namespace {

using Bound = BoundArguments;

Result<int64_t> PositiveCount(const Bound& arguments, std::string_view what) {
  if (!arguments.Has(0) || !arguments[0].IsIntegral()) {
    return TypeError(fmt::format("{} must be an integer", what));
  }
  return arguments[0].integer();
}

// Text without its case, when the filter is told to ignore case; anything else as it is.
Value FoldCase(const Value& value) {
  return value.Is(Kind::kString) ? Value::String(Lower(value.text())) : value;
}

// What an element is judged by: the attribute when one is named, without case unless told
// otherwise.
Result<Value> KeyOf(Budget& budget, const Value& item, const Value& attribute,
                    bool case_sensitive) {
  Value key = item;
  if (!attribute.Is(Kind::kNone)) {
    SLIM_ASSIGN(key, GetPath(budget, item, attribute));
  }
  if (key.Is(Kind::kString)) SLIM_TRY(budget.Steps(key.text().size() / 32));
  return case_sensitive ? key : FoldCase(key);
}

struct Keyed {
  Value key;
  Value item;
};

Status SortByKey(Budget& budget, std::vector<Keyed>& items, bool reverse) {
  Status failed;
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    if (!failed.ok()) return false;
    auto less = reverse ? Less(budget, b.key, a.key) : Less(budget, a.key, b.key);
    if (!less.ok()) failed = std::move(less).error();
    return failed.ok() && *less;
  });
  return failed;
}

Result<Value> Sorted(Budget& budget, std::vector<Keyed> items, bool reverse) {
  SLIM_TRY(SortByKey(budget, items, reverse));
  Values sorted;
  sorted.reserve(items.size());
  for (Keyed& keyed : items) sorted.push_back(std::move(keyed.item));
  return MakeList(budget, std::move(sorted));
}

Result<Value> Sort(Runtime& runtime, const Value& value, const Bound& arguments) {
  Budget& budget = runtime.budget;
  const bool case_sensitive = Truth(arguments.Or(1, Value::Bool(false)));
  const Value attribute = arguments.Or(2, Value());
  Values attributes = {attribute};
  if (attribute.Is(Kind::kString)) {
    attributes.clear();
    for (const std::string& name : Split(attribute.text(), ','))
      attributes.push_back(Value::String(name));
  }
  SLIM_ASSIGN(const Values items, Elements(budget, value));
  std::vector<Keyed> keyed;
  for (const Value& item : items) {
    Values keys;
    for (const Value& name : attributes) {
      SLIM_ASSIGN(Value key, KeyOf(budget, item, name, case_sensitive));
      keys.push_back(std::move(key));
    }
    SLIM_ASSIGN(Value key, MakeList(budget, std::move(keys)));
    keyed.push_back({std::move(key), item});
  }
  return Sorted(budget, std::move(keyed), Truth(arguments.Or(0, Value::Bool(false))));
}

Result<Value> DictSort(Runtime& runtime, const Value& value, const Bound& arguments) {
  if (value.IsUndefined()) return UndefinedError(value.text());
  if (!value.Is(Kind::kDict))
    return TypeError(fmt::format("dictsort takes a dict, not {}", TypeName(value)));
  const Value by = arguments.Or(1, Value::String("key"));
  const bool by_value = by.Is(Kind::kString) && by.text() == "value";
  if (!by_value && !(by.Is(Kind::kString) && by.text() == "key")) {
    return ValueError("dictsort sorts by 'key' or 'value'");
  }
  const bool case_sensitive = Truth(arguments.Or(0, Value::Bool(false)));
  std::vector<Keyed> keyed;
  SLIM_TRY(runtime.budget.Steps(value.entries().size()));
  for (const auto& [name, member] : value.entries()) {
    SLIM_ASSIGN(Value key,
                KeyOf(runtime.budget, by_value ? member : name, Value(), case_sensitive));
    SLIM_ASSIGN(Value pair, MakeTuple(runtime.budget, {name, member}));
    keyed.push_back({std::move(key), std::move(pair)});
  }
  return Sorted(runtime.budget, std::move(keyed), Truth(arguments.Or(2, Value::Bool(false))));
}

Result<Value> Unique(Runtime& runtime, const Value& value, const Bound& arguments) {
  const bool case_sensitive = Truth(arguments.Or(0, Value::Bool(false)));
  SLIM_ASSIGN(const Values items, Elements(runtime.budget, value));
  Entries seen;
  Values unique;
  for (const Value& item : items) {
    SLIM_ASSIGN(const Value key,
                KeyOf(runtime.budget, item, arguments.Or(1, Value()), case_sensitive));
    SLIM_ASSIGN(const Value* found, FindKey(runtime.budget, seen, key));
    if (found != nullptr) continue;
    seen.emplace_back(key, Value());
    unique.push_back(item);
  }
  return MakeIterator(runtime.budget, std::move(unique));
}

template <bool kMax>
Result<Value> Extreme(Runtime& runtime, const Value& value, const Bound& arguments) {
  const bool case_sensitive = Truth(arguments.Or(0, Value::Bool(false)));
  SLIM_ASSIGN(const Values items, Elements(runtime.budget, value));
  if (items.empty()) return Value::Undefined("the sequence is empty and has no minimum or maximum");
  std::optional<Keyed> best;
  for (const Value& item : items) {
    SLIM_ASSIGN(Value key, KeyOf(runtime.budget, item, arguments.Or(1, Value()), case_sensitive));
    if (best) {
      SLIM_ASSIGN(const bool better, kMax ? Less(runtime.budget, best->key, key)
                                          : Less(runtime.budget, key, best->key));
      if (!better) continue;
    }
    best = Keyed{std::move(key), item};
  }
  return best->item;
}

Result<Value> Sum(Runtime& runtime, const Value& value, const Bound& arguments) {
  SLIM_ASSIGN(const Values items, Elements(runtime.budget, value));
  Value total = arguments.Or(1, Value::Integer(0));
  if (total.Is(Kind::kString)) return TypeError("sum does not take text");
  for (const Value& item : items) {
    SLIM_ASSIGN(const Value term, KeyOf(runtime.budget, item, arguments.Or(0, Value()), true));
    SLIM_ASSIGN(total, Arithmetic(runtime.budget, "+", total, term));
  }
  return total;
}

Result<Value> LengthFilter(Runtime&, const Value& value, const Bound&) {
  SLIM_ASSIGN(const uint64_t length, Length(value));
  return Value::Integer(static_cast<int64_t>(length));
}

Result<Value> First(Runtime& runtime, const Value& value, const Bound&) {
  if (value.Is(Kind::kIterator)) {
    IteratorObject& iterator = value.iterator();
    if (iterator.next < iterator.items.size()) return iterator.items[iterator.next++];
    return Value::Undefined("the sequence is empty and has no first element");
  }
  if (value.IsSequence() && !value.items().empty()) return value.items().front();
  SLIM_ASSIGN(const Values items, Elements(runtime.budget, value));
  return items.empty() ? Value::Undefined("the sequence is empty and has no first element")
                       : items.front();
}

Result<Value> Last(Runtime& runtime, const Value& value, const Bound&) {
  if (value.Is(Kind::kIterator)) return TypeError("an iterator cannot be read from its end");
  if (value.IsSequence() && !value.items().empty()) return value.items().back();
  SLIM_ASSIGN(const Values items, Elements(runtime.budget, value));
  return items.empty() ? Value::Undefined("the sequence is empty and has no last element")
                       : items.back();
}

Result<Value> ListFilter(Runtime& runtime, const Value& value, const Bound&) {
  SLIM_ASSIGN(Values items, Elements(runtime.budget, value));
  return MakeList(runtime.budget, std::move(items));
}

Result<Value> Reverse(Runtime& runtime, const Value& value, const Bound&) {
  if (value.Is(Kind::kString)) {
    std::u32string points = ToCodePoints(value.text());
    std::reverse(points.begin(), points.end());
    return MakeString(runtime.budget, ToUtf8(points), value.markup());
  }
  SLIM_ASSIGN(Values items, Elements(runtime.budget, value));
  std::reverse(items.begin(), items.end());
  // A generator cannot be walked backwards: Jinja makes a list of it.
  return value.Is(Kind::kIterator) ? MakeList(runtime.budget, std::move(items))
                                   : MakeIterator(runtime.budget, std::move(items));
}

Result<Value> Join(Runtime& runtime, const Value& value, const Bound& arguments) {
  SLIM_ASSIGN(const std::string separator, Str(runtime.budget, arguments.Or(0, Value::String(""))));
  SLIM_ASSIGN(const Values items, Elements(runtime.budget, value));
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    SLIM_ASSIGN(const Value item, KeyOf(runtime.budget, items[i], arguments.Or(1, Value()), true));
    SLIM_ASSIGN(const std::string text, Str(runtime.budget, item));
    SLIM_TRY(runtime.budget.Fits(out.size() + separator.size() + text.size()));
    if (i > 0) out += separator;
    out += text;
  }
  return MakeString(runtime.budget, std::move(out));
}

Result<Value> Items(Runtime& runtime, const Value& value, const Bound&) {
  if (value.IsUndefined()) return MakeIterator(runtime.budget, {});
  if (!value.Is(Kind::kDict))
    return TypeError(fmt::format("items takes a dict, not {}", TypeName(value)));
  SLIM_ASSIGN(Values items, Elements(runtime.budget, Value::View(value, "items")));
  return MakeIterator(runtime.budget, std::move(items));
}

Result<Value> Batch(Runtime& runtime, const Value& value, const Bound& arguments) {
  SLIM_ASSIGN(const int64_t count, PositiveCount(arguments, "the size of a batch"));
  const Value fill = arguments.Or(1, Value());
  SLIM_ASSIGN(const Values items, Elements(runtime.budget, value));
  Values batches;
  Values batch;
  const auto flush = [&]() -> Status {
    SLIM_ASSIGN(Value list, MakeList(runtime.budget, std::move(batch)));
    batches.push_back(std::move(list));
    batch = Values();
    return {};
  };
  for (const Value& item : items) {
    if (static_cast<int64_t>(batch.size()) == count) SLIM_TRY(flush());
    batch.push_back(item);
  }
  if (!batch.empty()) {
    while (!fill.Is(Kind::kNone) && static_cast<int64_t>(batch.size()) < count) {
      SLIM_TRY(runtime.budget.Steps(1));
      batch.push_back(fill);
    }
    SLIM_TRY(flush());
  }
  return MakeIterator(runtime.budget, std::move(batches));
}

Result<Value> SliceFilter(Runtime& runtime, const Value& value, const Bound& arguments) {
  SLIM_ASSIGN(const int64_t slices, PositiveCount(arguments, "the number of slices"));
  if (slices == 0) return ValueError("the number of slices is zero");
  const Value fill = arguments.Or(1, Value());
  SLIM_ASSIGN(const Values items, Elements(runtime.budget, value));
  const int64_t each = static_cast<int64_t>(items.size()) / std::max<int64_t>(slices, 1);
  const int64_t longer = static_cast<int64_t>(items.size()) % std::max<int64_t>(slices, 1);
  Values result;
  auto next = items.begin();
  for (int64_t i = 0; i < slices; ++i) {
    const auto end = next + each + (i < longer ? 1 : 0);
    Values slice(next, end);
    next = end;
    if (!fill.Is(Kind::kNone) && i >= longer) slice.push_back(fill);
    SLIM_ASSIGN(Value list, MakeList(runtime.budget, std::move(slice)));
    SLIM_TRY(runtime.budget.Steps(1));
    result.push_back(std::move(list));
  }
  return MakeIterator(runtime.budget, std::move(result));
}

// map(attribute=…, default=…), without a filter.
Result<Value> MapAttribute(Runtime& runtime, const Values& items, const Arguments& arguments) {
  SLIM_ASSIGN(const BoundArguments bound,
              BoundArguments::Bind("filter 'map'", arguments, {"attribute", "default"}));
  if (!bound.Has(0)) return TypeError("filter 'map' needs a filter or an attribute");
  const Value otherwise = bound.Or(1, Value());
  Values mapped;
  for (const Value& item : items) {
    SLIM_ASSIGN(Value value, GetPath(runtime.budget, item, bound[0], otherwise));
    mapped.push_back(std::move(value));
  }
  return MakeIterator(runtime.budget, std::move(mapped));
}

// The name of the filter or test that `arguments` begin with at `index`, and the arguments behind
// it.
Result<std::string> NameAndRest(const Arguments& arguments, size_t index, Arguments& rest) {
  const Value& name = arguments.positional[index];
  if (!name.Is(Kind::kString)) return TypeError("a filter or test is named by text");
  rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(index) + 1,
                         arguments.positional.end());
  rest.keyword = arguments.keyword;
  return name.text();
}

Result<Value> Map(Runtime& runtime, const Value& value, const Arguments& arguments) {
  if (!Truth(value)) return MakeIterator(runtime.budget, {});
  SLIM_ASSIGN(const Values items, Elements(runtime.budget, value));
  if (arguments.positional.empty()) return MapAttribute(runtime, items, arguments);
  Arguments rest;
  SLIM_ASSIGN(const std::string name, NameAndRest(arguments, 0, rest));
  Values mapped;
  for (const Value& item : items) {
    SLIM_TRY(runtime.budget.Steps(1));
    SLIM_ASSIGN(Value result, ApplyFilter(runtime, name, item, rest));
    mapped.push_back(std::move(result));
  }
  return MakeIterator(runtime.budget, std::move(mapped));
}

// select, reject, selectattr, rejectattr.
template <bool kKeep, bool kByAttribute>
Result<Value> Select(Runtime& runtime, const Value& value, const Arguments& arguments) {
  if (!Truth(value)) return MakeIterator(runtime.budget, {});
  const size_t test_at = kByAttribute ? 1 : 0;
  if (arguments.positional.size() < test_at)
    return TypeError("the filter needs the name of an attribute");
  const bool has_test = arguments.positional.size() > test_at;
  Arguments rest;
  std::string test;
  if (has_test) {
    SLIM_ASSIGN(test, NameAndRest(arguments, test_at, rest));
  }
  SLIM_ASSIGN(const Values items, Elements(runtime.budget, value));
  Values kept;
  for (const Value& item : items) {
    SLIM_TRY(runtime.budget.Steps(1));
    Value subject = item;
    if (kByAttribute) {
      SLIM_ASSIGN(subject, GetPath(runtime.budget, item, arguments.positional[0]));
    }
    bool passed = Truth(subject);
    if (has_test) {
      SLIM_ASSIGN(passed, ApplyTest(runtime, test, subject, rest));
    }
    if (passed == kKeep) kept.push_back(item);
  }
  return MakeIterator(runtime.budget, std::move(kept));
}

}  // namespace

const std::vector<Filter>& SequenceFilters() {
  static const std::vector<Filter> kFilters = {
      {"batch", {"linecount", "fill_with"}, Batch},
      {"count", {}, LengthFilter},
      {"dictsort", {"case_sensitive", "by", "reverse"}, DictSort},
      {"first", {}, First},
      {"items", {}, Items},
      {"join", {"d", "attribute"}, Join},
      {"last", {}, Last},
      {"length", {}, LengthFilter},
      {"list", {}, ListFilter},
      {"map", {}, nullptr, Map},
      {"max", {"case_sensitive", "attribute"}, Extreme<true>},
      {"min", {"case_sensitive", "attribute"}, Extreme<false>},
      {"reject", {}, nullptr, Select<false, false>},
      {"rejectattr", {}, nullptr, Select<false, true>},
      {"reverse", {}, Reverse},
      {"select", {}, nullptr, Select<true, false>},
      {"selectattr", {}, nullptr, Select<true, true>},
      {"slice", {"slices", "fill_with"}, SliceFilter},
      {"sort", {"reverse", "case_sensitive", "attribute"}, Sort},
      {"sum", {"attribute", "start"}, Sum},
      {"unique", {"case_sensitive", "attribute"}, Unique}};
  return kFilters;
}

}  // namespace slim::tmpl
