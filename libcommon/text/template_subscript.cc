// Subscripts, attributes and slices of template_ops.h.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/text.h"
#include "text/template_methods.h"
#include "text/template_ops.h"
#include "text/template_text.h"

namespace slim::tmpl {
namespace {

Value Missing(const Value& object, std::string_view key) {
  return Value::Undefined(
      fmt::format("a value of type {} has no member {}", TypeName(object), Quote(key)));
}

// The index from the front, or nothing when it is out of range.
std::optional<uint64_t> Position(int64_t index, uint64_t length) {
  const auto size = static_cast<int64_t>(length);
  const int64_t position = index < 0 ? index + size : index;
  if (position < 0 || position >= size) return std::nullopt;
  return static_cast<uint64_t>(position);
}

Result<Value> AtIndex(Budget& budget, const Value& object, int64_t index) {
  SLIM_ASSIGN(const uint64_t length, Length(object));
  const auto position = Position(index, length);
  if (!position) return Missing(object, std::to_string(index));
  if (object.IsSequence()) return object.items()[*position];
  if (object.Is(Kind::kRange)) return Value::Integer(object.range().At(*position));
  const std::string& text = object.text();
  SLIM_TRY(budget.Steps(text.size() / 64));
  size_t begin = *position;
  if (length != text.size()) {
    begin = 0;
    for (uint64_t i = 0; i < *position; ++i) NextCodePoint(text, begin);
  }
  size_t end = begin;
  NextCodePoint(text, end);
  return Value::String(text.substr(begin, end - begin), object.markup());
}

// A member by name that is not a method: of a dict or a namespace or the loop.
Result<std::optional<Value>> NamedMember(Budget& budget, const Value& object,
                                         std::string_view name) {
  if (object.Is(Kind::kDict)) {
    SLIM_ASSIGN(const Value* found,
                FindKey(budget, object.entries(), Value::String(std::string(name))));
    if (found != nullptr) return std::optional<Value>(*found);
  } else if (object.Is(Kind::kNamespace)) {
    const Value* found = object.name_space().Find(name);
    if (found != nullptr) return std::optional<Value>(*found);
  } else if (object.Is(Kind::kLoop)) {
    SLIM_ASSIGN(Value found, object.loop().Attribute(name));
    return std::optional<Value>(std::move(found));
  }
  return std::optional<Value>();
}

struct SliceSteps {
  int64_t start = 0;
  int64_t step = 1;
  int64_t end = 0;
  uint64_t count = 0;
};

Result<std::optional<int64_t>> Bound(const Value& bound) {
  if (bound.Is(Kind::kNone)) return std::optional<int64_t>();
  if (bound.IsIntegral()) return std::optional<int64_t>(bound.integer());
  if (bound.IsUndefined()) return UndefinedError(bound.text());
  return TypeError(fmt::format("a slice takes integers, not {}", TypeName(bound)));
}

// Python's slice.indices(length).
Result<SliceSteps> Resolve(const std::array<Value, 3>& bounds, int64_t length) {
  SLIM_ASSIGN(const auto start, Bound(bounds[0]));
  SLIM_ASSIGN(const auto stop, Bound(bounds[1]));
  SLIM_ASSIGN(const auto step, Bound(bounds[2]));
  SliceSteps steps;
  steps.step = step.value_or(1);
  if (steps.step == 0) return ValueError("a slice step of zero");
  // -length - 1 steps pass all of it; a larger one would not survive negation.
  steps.step = std::max(steps.step, -std::numeric_limits<int64_t>::max());
  const bool back = steps.step < 0;
  const int64_t low = back ? -1 : 0;
  const int64_t high = back ? length - 1 : length;
  const auto clamp = [&](std::optional<int64_t> bound, int64_t otherwise) {
    if (!bound) return otherwise;
    return *bound < 0 ? std::max(*bound + length, low) : std::min(*bound, high);
  };
  steps.start = clamp(start, back ? high : low);
  steps.end = clamp(stop, back ? low : high);
  const int64_t distance = back ? steps.start - steps.end : steps.end - steps.start;
  const int64_t stride = back ? -steps.step : steps.step;
  steps.count = distance > 0 ? static_cast<uint64_t>((distance - 1) / stride + 1) : 0;
  return steps;
}

Result<Value> SliceText(Budget& budget, const Value& object, const std::array<Value, 3>& bounds) {
  const std::string& text = object.text();
  SLIM_TRY(budget.Steps(text.size() / 32));
  const bool ascii = CountCodePoints(text) == text.size();
  const std::u32string points = ascii ? std::u32string() : ToCodePoints(text);
  const size_t length = ascii ? text.size() : points.size();
  SLIM_ASSIGN(const SliceSteps steps, Resolve(bounds, static_cast<int64_t>(length)));
  std::string out;
  int64_t at = steps.start;
  for (uint64_t i = 0; i < steps.count; ++i) {
    const auto index = static_cast<size_t>(at);
    if (ascii) {
      out += text[index];
    } else {
      AppendUtf8(out, points[index]);
    }
    if (i + 1 < steps.count) at += steps.step;
  }
  return MakeString(budget, std::move(out), object.markup());
}

}  // namespace

Result<Value> GetSlice(Budget& budget, const Value& object, const std::array<Value, 3>& bounds) {
  if (object.IsUndefined()) return UndefinedError(object.text());
  if (object.Is(Kind::kString)) return SliceText(budget, object, bounds);
  if (!object.IsSequence() && !object.Is(Kind::kRange)) {
    return TypeError(fmt::format("a value of type {} cannot be sliced", TypeName(object)));
  }
  SLIM_ASSIGN(const uint64_t length, Length(object));
  SLIM_ASSIGN(const SliceSteps steps, Resolve(bounds, static_cast<int64_t>(length)));
  SLIM_TRY(budget.Steps(steps.count));
  Values items;
  int64_t at = steps.start;
  for (uint64_t i = 0; i < steps.count; ++i) {
    const auto index = static_cast<uint64_t>(at);
    items.push_back(object.IsSequence() ? object.items()[index]
                                        : Value::Integer(object.range().At(index)));
    if (i + 1 < steps.count) at += steps.step;
  }
  if (object.Is(Kind::kTuple)) return MakeTuple(budget, std::move(items));
  if (object.Is(Kind::kList)) return MakeList(budget, std::move(items));
  const RangeObject& range = object.range();
  int64_t step = 0;
  if (__builtin_mul_overflow(range.step, steps.step, &step)) {
    return Overflow("the step of a range does not fit 64 bits");
  }
  const int64_t start = range.At(static_cast<uint64_t>(steps.start));
  const int64_t stop = range.At(static_cast<uint64_t>(steps.end));
  return Value::Range(start, stop, step);
}

Result<Value> GetItem(Budget& budget, const Value& object, const Value& key) {
  if (object.IsUndefined()) return UndefinedError(object.text());
  const bool indexed = object.IsSequence() || object.Is(Kind::kString) || object.Is(Kind::kRange);
  if (indexed && key.IsIntegral()) return AtIndex(budget, object, key.integer());
  if (key.Is(Kind::kString)) {
    SLIM_ASSIGN(std::optional<Value> member, NamedMember(budget, object, key.text()));
    if (member) return *std::move(member);
    if (auto method = FindMethod(object, key.text())) return *std::move(method);
    return Missing(object, key.text());
  }
  if (object.Is(Kind::kDict) && !key.IsUndefined()) {
    auto found = FindKey(budget, object.entries(), key);
    if (found.ok() && *found != nullptr) return **found;
    if (!found.ok() && found.error().rule != "TPL-type") return std::move(found).error();
  }
  return Missing(object, TypeName(key));
}

Result<Value> GetAttribute(Budget& budget, const Value& object, std::string_view name) {
  if (object.IsUndefined()) return UndefinedError(object.text());
  if (auto method = FindMethod(object, name)) return *std::move(method);
  SLIM_ASSIGN(std::optional<Value> member, NamedMember(budget, object, name));
  if (member) return *std::move(member);
  return Missing(object, name);
}

Result<Value> GetPath(Budget& budget, const Value& object, const Value& path,
                      const Value& otherwise) {
  const auto step = [&](const Value& from, const Value& key) -> Result<Value> {
    SLIM_ASSIGN(Value value, GetItem(budget, from, key));
    return value.IsUndefined() && !otherwise.Is(Kind::kNone) ? otherwise : std::move(value);
  };
  if (!path.Is(Kind::kString)) return step(object, path);
  Value current = object;
  for (const std::string& part : Split(path.text(), '.')) {
    const bool is_index =
        !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    Value key = Value::String(part);
    if (is_index) {
      SLIM_ASSIGN(const auto index, ParseInteger(part, 10));
      key = Value::Integer(index.value_or(0));
    }
    SLIM_ASSIGN(current, step(current, key));
  }
  return current;
}

}  // namespace slim::tmpl
