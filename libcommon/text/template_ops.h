// The operators of template expressions by Python's rules: truth, equality, order, arithmetic,
// membership, subscripts. Integers have 64 bits; a result that does not fit is TPL-overflow.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/template_value.h"

namespace slim::tmpl {

bool Truth(const Value& value);
Result<bool> Equal(Budget& budget, const Value& a, const Value& b);
// a < b; TPL-type for kinds that have no order.
Result<bool> Less(Budget& budget, const Value& a, const Value& b);
// `name` is one of == != < <= > >= in, not in.
Result<bool> CompareBy(Budget& budget, std::string_view name, const Value& a, const Value& b);
Result<bool> Contains(Budget& budget, const Value& container, const Value& item);

// `name` is one of + - * / // % **.
Result<Value> Arithmetic(Budget& budget, std::string_view name, const Value& a, const Value& b);
Result<Value> Negative(const Value& value);
Result<Value> Positive(const Value& value);
// The operator ~: both as text.
Result<Value> Concat(Budget& budget, const Values& parts);

// len(value).
Result<uint64_t> Length(const Value& value);
// list(value): characters of text, keys of a dict. An iterator is used up.
Result<Values> Elements(Budget& budget, const Value& value);
// A list or tuple of `items` after checks of size and depth.
Result<Value> MakeList(Budget& budget, Values items);
Result<Value> MakeTuple(Budget& budget, Values items);
Result<Value> MakeIterator(Budget& budget, Values items);
Result<Value> MakeDict(Budget& budget, Entries entries);
Result<Value> MakeString(Budget& budget, std::string text, bool markup = false);

// dict[key], or null. TPL-type for a key that has no hash.
Result<const Value*> FindKey(Budget& budget, const Entries& entries, const Value& key);
// Replaces or appends.
Status SetKey(Budget& budget, Entries& entries, const Value& key, Value value);

// object[key] and object.name as Jinja looks them up: the one falls back on the other; undefined
// when there is neither.
Result<Value> GetItem(Budget& budget, const Value& object, const Value& key);
Result<Value> GetAttribute(Budget& budget, const Value& object, std::string_view name);
// "a.b.0" step by step with GetItem, as the filters' `attribute` argument is read; an integer is
// one step. A step to nowhere gives `otherwise`, unless that is None.
Result<Value> GetPath(Budget& budget, const Value& object, const Value& path,
                      const Value& otherwise = Value());
// object[start:stop:step]; None is an absent bound.
Result<Value> GetSlice(Budget& budget, const Value& object, const std::array<Value, 3>& bounds);

// True where the two are one object, or one None, bool, number or text.
bool Same(const Value& a, const Value& b);

}  // namespace slim::tmpl
