// Values of a template and the budget that bounds them. A value is what Python would hold: None,
// bool, a 64-bit integer, a float, text (UTF-8, counted in code points), list, tuple, dict, range,
// a view of a dict, an iterator that is used up by reading, a namespace, a loop, something to call,
// or Jinja's undefined. Everything but namespaces, loops and iterators is immutable, and a
// container knows how deep it nests, so that no walk over a value can run out of stack.
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "json/json.h"

namespace slim::tmpl {

// Errors of a template. The evaluator adds the line.
inline Error SyntaxError(std::string message) {
  return InputError("TPL-syntax", std::move(message));
}
inline Error TypeError(std::string message) { return InputError("TPL-type", std::move(message)); }
inline Error ValueError(std::string message) { return InputError("TPL-value", std::move(message)); }
inline Error Overflow(std::string message) {
  return InputError("TPL-overflow", std::move(message));
}
inline Error UndefinedError(std::string message) {
  return InputError("TPL-undefined", std::move(message));
}
inline Error Unsupported(std::string message) {
  return InputError("TPL-unsupported", std::move(message));
}

// What one rendering may still spend.
class Budget {
 public:
  Budget(uint64_t max_steps, uint64_t max_bytes, int max_depth)
      : steps_left_(max_steps), max_bytes_(max_bytes), max_depth_(max_depth) {}

  Status Steps(uint64_t count);
  // Text of `bytes` is about to be made: it must fit the output limit and costs a step and one more
  // every 64 bytes.
  Status Text(uint64_t bytes);
  // The limit alone, for text that grows piece by piece.
  Status Fits(uint64_t bytes) const;
  Status Depth(int depth) const;
  int max_depth() const { return max_depth_; }

 private:
  uint64_t steps_left_;
  uint64_t max_bytes_;
  int max_depth_;
};

enum class Kind : uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInteger,
  kFloat,
  kString,
  kList,
  kTuple,
  kDict,
  kRange,
  kView,
  kIterator,
  kNamespace,
  kLoop,
  kCallable
};

// Base of what a value shares.
struct Object {
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() = default;
};

class Value;
using Values = std::vector<Value>;
using Entries = std::vector<std::pair<Value, Value>>;
struct DictObject;
struct IteratorObject;
struct NamespaceObject;
struct LoopObject;
struct CallableObject;
struct RangeObject;
struct ViewObject;

class Value {
 public:
  Value() : kind_(Kind::kNone) {}
  static Value Undefined(std::string why);
  static Value Bool(bool value);
  static Value Integer(int64_t value);
  static Value Float(double value);
  static Value String(std::string text, bool markup = false);
  // Containers: the caller has charged the budget; Depth() of the result is still to be checked.
  static Value List(Values items);
  static Value Tuple(Values items);
  static Value Dict(Entries entries);
  static Value Range(int64_t start, int64_t stop, int64_t step);
  static Value View(const Value& dict, std::string_view what);
  static Value Iterator(Values items);
  static Value Of(std::shared_ptr<NamespaceObject> object);
  static Value Of(std::shared_ptr<LoopObject> object, int depth);
  static Value Of(std::shared_ptr<CallableObject> object, int depth);

  Kind kind() const { return kind_; }
  bool Is(Kind kind) const { return kind_ == kind; }
  bool IsUndefined() const { return kind_ == Kind::kUndefined; }
  // int in Python's sense, where True is 1.
  bool IsIntegral() const { return kind_ == Kind::kInteger || kind_ == Kind::kBool; }
  bool IsNumber() const { return IsIntegral() || kind_ == Kind::kFloat; }
  bool IsSequence() const { return kind_ == Kind::kList || kind_ == Kind::kTuple; }
  // Text that the filters `safe` and `escape` marked: joining it to other text escapes the other.
  bool markup() const { return markup_; }
  int depth() const { return depth_; }

  bool boolean() const { return number_ != 0; }
  int64_t integer() const { return number_; }
  double real() const { return kind_ == Kind::kFloat ? real_ : static_cast<double>(number_); }
  // The text of a string; why an undefined value is undefined.
  const std::string& text() const;
  const Values& items() const;     // list, tuple
  const Entries& entries() const;  // dict
  RangeObject& range() const;
  ViewObject& view() const;
  IteratorObject& iterator() const;
  NamespaceObject& name_space() const;
  LoopObject& loop() const;
  CallableObject& callable() const;
  const Object* identity() const { return object_.get(); }

 private:
  Value(Kind kind, std::shared_ptr<Object> object, int depth = 0)
      : kind_(kind), depth_(depth), object_(std::move(object)) {}

  Kind kind_;
  bool markup_ = false;
  int depth_ = 0;
  union {
    int64_t number_ = 0;
    double real_;
  };
  std::shared_ptr<Object> object_;
};

struct TextObject final : Object {
  explicit TextObject(std::string t) : text(std::move(t)) {}
  std::string text;
};
struct SequenceObject final : Object {
  explicit SequenceObject(Values v) : items(std::move(v)) {}
  Values items;
};
struct DictObject final : Object {
  explicit DictObject(Entries e) : entries(std::move(e)) {}
  Entries entries;
};
struct RangeObject final : Object {
  int64_t start = 0;
  int64_t stop = 0;
  int64_t step = 1;
  uint64_t Length() const;
  int64_t At(uint64_t index) const;
};
struct ViewObject final : Object {
  Value dict;
  std::string what;  // keys, values, items
};
struct IteratorObject final : Object {
  Values items;
  size_t next = 0;
};
// Mutable; the evaluator empties every namespace at the end, since namespaces may refer to each
// other.
struct NamespaceObject final : Object {
  std::vector<std::pair<std::string, Value>> members;
  const Value* Find(std::string_view name) const;
  void Set(std::string_view name, Value value);
};
// Arguments of a call, a filter or a test.
struct Arguments {
  Values positional;
  std::vector<std::pair<std::string, Value>> keyword;
};
struct Runtime;
// A function of the environment, a method with its receiver, or a macro.
struct CallableObject : Object {
  std::string name;
  virtual Result<Value> Call(Runtime& runtime, const Arguments& arguments) = 0;
  virtual std::optional<std::string> Repr() const { return std::nullopt; }
};
// The `loop` variable. An unknown attribute is undefined.
struct LoopObject : Object {
  virtual Result<Value> Attribute(std::string_view name) = 0;
  virtual Result<std::string> Repr() = 0;
};
// What code outside the evaluator needs of a rendering.
struct Runtime {
  Budget& budget;
  std::function<std::tm()> clock;
};

// The Python name of the type, for messages: 'str', 'list', …
std::string_view TypeName(const Value& value);

// A value for JSON; TPL-overflow for an integer above 64 bits.
Result<Value> FromJson(const Json& json);

// Binds arguments to parameter names. A name after '*' may be given by keyword only, one before '/'
// by position only.
class BoundArguments {
 public:
  static Result<BoundArguments> Bind(std::string_view what, const Arguments& arguments,
                                     const std::vector<std::string_view>& names);
  bool Has(size_t index) const { return values_[index].has_value(); }
  const Value& operator[](size_t index) const { return *values_[index]; }
  Value Or(size_t index, Value otherwise) const {
    return values_[index] ? *values_[index] : std::move(otherwise);
  }

 private:
  std::vector<std::optional<Value>> values_;
};

}  // namespace slim::tmpl
