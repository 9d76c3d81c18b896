#include "text/template_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/text.h"

namespace slim::tmpl {

Status Budget::Steps(uint64_t count) {
  if (count > steps_left_) {
    steps_left_ = 0;
    return InputError("TPL-limit", "the template takes more steps than it may");
  }
  steps_left_ -= count;
  return {};
}

Status Budget::Text(uint64_t bytes) {
  SLIM_TRY(Fits(bytes));
  return Steps(1 + bytes / 64);
}

Status Budget::Fits(uint64_t bytes) const {
  if (bytes <= max_bytes_) return {};
  return InputError("TPL-limit",
                    fmt::format("the template makes text of more than {} bytes", max_bytes_));
}

Status Budget::Depth(int depth) const {
  if (depth <= max_depth_) return {};
  return InputError("TPL-limit", fmt::format("values nest deeper than {} levels", max_depth_));
}

namespace {

int DepthOf(const Values& items) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  return depth + 1;
}

}  // namespace

Value Value::Undefined(std::string why) {
  return {Kind::kUndefined, std::make_shared<TextObject>(std::move(why))};
}

Value Value::Bool(bool value) {
  Value result(Kind::kBool, nullptr);
  result.number_ = value ? 1 : 0;
  return result;
}

Value Value::Integer(int64_t value) {
  Value result(Kind::kInteger, nullptr);
  result.number_ = value;
  return result;
}

Value Value::Float(double value) {
  Value result(Kind::kFloat, nullptr);
  result.real_ = value;
  return result;
}

Value Value::String(std::string text, bool markup) {
  Value result(Kind::kString, std::make_shared<TextObject>(std::move(text)));
  result.markup_ = markup;
  return result;
}

Value Value::List(Values items) {
  const int depth = DepthOf(items);
  return {Kind::kList, std::make_shared<SequenceObject>(std::move(items)), depth};
}

Value Value::Tuple(Values items) {
  const int depth = DepthOf(items);
  return {Kind::kTuple, std::make_shared<SequenceObject>(std::move(items)), depth};
}

Value Value::Dict(Entries entries) {
  int depth = 0;
  for (const auto& [key, value] : entries) depth = std::max({depth, key.depth(), value.depth()});
  return {Kind::kDict, std::make_shared<DictObject>(std::move(entries)), depth + 1};
}

Value Value::Range(int64_t start, int64_t stop, int64_t step) {
  auto object = std::make_shared<RangeObject>();
  object->start = start;
  object->stop = stop;
  object->step = step;
  return {Kind::kRange, std::move(object)};
}

Value Value::View(const Value& dict, std::string_view what) {
  auto object = std::make_shared<ViewObject>();
  object->dict = dict;
  object->what = what;
  return {Kind::kView, std::move(object), dict.depth() + 1};
}

Value Value::Iterator(Values items) {
  const int depth = DepthOf(items);
  auto object = std::make_shared<IteratorObject>();
  object->items = std::move(items);
  return {Kind::kIterator, std::move(object), depth};
}

const std::string& Value::text() const { return static_cast<TextObject&>(*object_).text; }
const Values& Value::items() const { return static_cast<SequenceObject&>(*object_).items; }
const Entries& Value::entries() const { return static_cast<DictObject&>(*object_).entries; }
RangeObject& Value::range() const { return static_cast<RangeObject&>(*object_); }
ViewObject& Value::view() const { return static_cast<ViewObject&>(*object_); }
IteratorObject& Value::iterator() const { return static_cast<IteratorObject&>(*object_); }
NamespaceObject& Value::name_space() const { return static_cast<NamespaceObject&>(*object_); }
LoopObject& Value::loop() const { return static_cast<LoopObject&>(*object_); }
CallableObject& Value::callable() const { return static_cast<CallableObject&>(*object_); }

Value Value::Of(std::shared_ptr<NamespaceObject> object) {
  return {Kind::kNamespace, std::move(object)};
}
Value Value::Of(std::shared_ptr<LoopObject> object, int depth) {
  return {Kind::kLoop, std::move(object), depth};
}
Value Value::Of(std::shared_ptr<CallableObject> object, int depth) {
  return {Kind::kCallable, std::move(object), depth};
}

uint64_t RangeObject::Length() const {
  // Unsigned distances: stop - start may not fit int64_t.
  if (step > 0) {
    if (start >= stop) return 0;
    const uint64_t distance = static_cast<uint64_t>(stop) - static_cast<uint64_t>(start);
    return (distance - 1) / static_cast<uint64_t>(step) + 1;
  }
  if (start <= stop) return 0;
  const uint64_t distance = static_cast<uint64_t>(start) - static_cast<uint64_t>(stop);
  return (distance - 1) / (0 - static_cast<uint64_t>(step)) + 1;
}

int64_t RangeObject::At(uint64_t index) const {
  return static_cast<int64_t>(static_cast<uint64_t>(start) + index * static_cast<uint64_t>(step));
}

const Value* NamespaceObject::Find(std::string_view name) const {
  for (const auto& [key, value] : members) {
    if (key == name) return &value;
  }
  return nullptr;
}

void NamespaceObject::Set(std::string_view name, Value value) {
  for (auto& [key, old] : members) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  members.emplace_back(std::string(name), std::move(value));
}

std::string_view TypeName(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInteger:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kRange:
      return "range";
    case Kind::kView:
      return "dict view";
    case Kind::kIterator:
      return "generator";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kCallable:
      return "function";
  }
  return "";
}

namespace {

double RealOf(const Json& json) {
  if (const auto value = json.AsDouble()) return *value;
  // Out of a double's range: Python reads zero or infinity.
  const std::string& text = json.text();
  const double magnitude = text.find("e-") != std::string::npos ||
                                   text.find("E-") != std::string::npos || text.starts_with("0.") ||
                                   text.starts_with("-0.")
                               ? 0.0
                               : std::numeric_limits<double>::infinity();
  return text.starts_with('-') ? -magnitude : magnitude;
}

}  // namespace

Result<Value> FromJson(const Json& json) {
  switch (json.kind()) {
    case Json::Kind::kNull:
      return Value();
    case Json::Kind::kBool:
      return Value::Bool(*json.AsBool());
    case Json::Kind::kInteger:
      if (const auto value = json.AsInteger()) return Value::Integer(*value);
      return Overflow(fmt::format("integer {} does not fit 64 bits", Quote(json.text())));
    case Json::Kind::kReal:
      return Value::Float(RealOf(json));
    case Json::Kind::kString:
      return Value::String(json.text());
    case Json::Kind::kArray: {
      Values items;
      items.reserve(json.items().size());
      for (const Json& item : json.items()) {
        SLIM_ASSIGN(Value value, FromJson(item));
        items.push_back(std::move(value));
      }
      return Value::List(std::move(items));
    }
    case Json::Kind::kObject: {
      Entries entries;
      entries.reserve(json.members().size());
      for (const auto& [key, member] : json.members()) {
        SLIM_ASSIGN(Value value, FromJson(member));
        entries.emplace_back(Value::String(key), std::move(value));
      }
      return Value::Dict(std::move(entries));
    }
  }
  return Value();
}

Result<BoundArguments> BoundArguments::Bind(std::string_view what, const Arguments& arguments,
                                            const std::vector<std::string_view>& names) {
  BoundArguments bound;
  std::vector<std::string_view> parameters;
  size_t position_only = 0;  // parameters before '/'
  size_t by_position = names.size();
  for (const std::string_view name : names) {
    if (name == "/") {
      position_only = parameters.size();
    } else if (name == "*") {
      by_position = parameters.size();
    } else {
      parameters.push_back(name);
    }
  }
  by_position = std::min(by_position, parameters.size());
  bound.values_.resize(parameters.size());
  if (arguments.positional.size() > by_position) {
    return TypeError(fmt::format("{} takes at most {} arguments by position, {} given", what,
                                 by_position, arguments.positional.size()));
  }
  std::copy(arguments.positional.begin(), arguments.positional.end(), bound.values_.begin());
  for (const auto& [name, value] : arguments.keyword) {
    const auto found = std::find(parameters.begin(), parameters.end(), name);
    const auto index = static_cast<size_t>(found - parameters.begin());
    if (found == parameters.end() || index < position_only) {
      return TypeError(fmt::format("{} takes no argument named {}", what, Quote(name)));
    }
    if (bound.values_[index]) {
      return TypeError(fmt::format("{} got argument {} twice", what, Quote(name)));
    }
    bound.values_[index] = value;
  }
  return bound;
}

}  // namespace slim::tmpl
