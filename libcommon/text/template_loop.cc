// The `loop` variable of template_eval.h.
#include <fmt/format.h>

#include <algorithm>

#include "text/template_eval.h"
#include "text/template_ops.h"

namespace slim::tmpl {

// loop.cycle and loop.changed.
class LoopState::Function final : public CallableObject {
 public:
  Function(std::shared_ptr<LoopState> loop, std::string_view function) : loop_(std::move(loop)) {
    name = function;
  }
  Result<Value> Call(Runtime&, const Arguments& arguments) override {
    return name == "cycle" ? loop_->Cycle(arguments) : loop_->Changed(arguments);
  }

 private:
  std::shared_ptr<LoopState> loop_;
};

LoopState::LoopState(Evaluator& evaluator, const Stmt& statement, Value source,
                     std::shared_ptr<Scope> outer)
    : evaluator_(evaluator),
      statement_(statement),
      source_(std::move(source)),
      outer_(std::move(outer)) {}

Status LoopState::Start() {
  SLIM_TRY(evaluator_.runtime_.budget.Depth(depth()));
  if (source_.IsSequence() || source_.Is(Kind::kIterator)) return {};
  SLIM_ASSIGN(elements_, Elements(evaluator_.runtime_.budget, source_));
  return {};
}

void LoopState::Finish() { outer_.reset(); }

Result<bool> LoopState::Draw() {
  while (outer_ != nullptr) {
    const bool shared = source_.Is(Kind::kIterator);
    const Values& elements = shared                 ? source_.iterator().items
                             : source_.IsSequence() ? source_.items()
                                                    : elements_;
    size_t& next = shared ? source_.iterator().next : next_;
    if (next >= elements.size()) return false;
    SLIM_TRY(evaluator_.runtime_.budget.Steps(1));
    Value element = elements[next++];
    SLIM_ASSIGN(const bool passes, Passes(element));
    if (!passes) continue;
    ahead_.push_back(std::move(element));
    return true;
  }
  return false;
}

// The condition of the loop, in a scope where only the element is new.
Result<bool> LoopState::Passes(const Value& element) {
  const ExprPtr& condition = statement_.expressions[1];
  if (!condition) return true;
  const std::shared_ptr<Scope> inner =
      std::exchange(evaluator_.scope_, std::make_shared<Scope>(outer_));
  Status status = evaluator_.Assign(statement_.targets[0], element);
  bool passes = false;
  if (status.ok()) {
    auto value = evaluator_.Eval(*condition);
    if (value.ok()) {
      passes = Truth(*value);
    } else {
      status = std::move(value).error();
    }
  }
  evaluator_.scope_ = inner;
  SLIM_TRY(std::move(status));
  return passes;
}

Result<bool> LoopState::Next() {
  if (ahead_.empty()) {
    SLIM_ASSIGN(const bool more, Draw());
    if (!more) return false;
  }
  previous_ = index0_ < 0 ? Value::Undefined("there is no previous item") : std::move(current_);
  current_ = std::move(ahead_.front());
  ahead_.pop_front();
  ++index0_;
  return true;
}

Result<int64_t> LoopState::Length() {
  while (true) {
    SLIM_ASSIGN(const bool more, Draw());
    if (!more) return index0_ + 1 + static_cast<int64_t>(ahead_.size());
  }
}

Result<Value> LoopState::Attribute(std::string_view name) {
  if (name == "index0") return Value::Integer(index0_);
  if (name == "index") return Value::Integer(index0_ + 1);
  if (name == "first") return Value::Bool(index0_ == 0);
  if (name == "depth0") return Value::Integer(0);
  if (name == "depth") return Value::Integer(1);
  if (name == "previtem") return previous_;
  if (name == "last" || name == "nextitem") {
    if (ahead_.empty()) {
      SLIM_ASSIGN(const bool more, Draw());
      if (!more) {
        return name == "last" ? Value::Bool(true) : Value::Undefined("there is no next item");
      }
    }
    return name == "last" ? Value::Bool(false) : ahead_.front();
  }
  if (name == "length" || name == "revindex" || name == "revindex0") {
    SLIM_ASSIGN(const int64_t length, Length());
    return Value::Integer(name == "length"     ? length
                          : name == "revindex" ? length - index0_
                                               : length - index0_ - 1);
  }
  if (name == "cycle" || name == "changed") {
    return Value::Of(std::make_shared<Function>(shared_from_this(), name), depth() + 1);
  }
  return Value::Undefined(fmt::format("'loop' has no member '{}'", name));
}

Result<std::string> LoopState::Repr() {
  SLIM_ASSIGN(const int64_t length, Length());
  return fmt::format("<LoopContext {}/{}>", index0_ + 1, length);
}

Result<Value> LoopState::Cycle(const Arguments& arguments) const {
  if (arguments.positional.empty() || !arguments.keyword.empty()) {
    return TypeError("loop.cycle takes the values to cycle through");
  }
  return arguments.positional[static_cast<size_t>(index0_) % arguments.positional.size()];
}

Result<Value> LoopState::Changed(const Arguments& arguments) {
  if (!changed_slot_) {
    changed_slot_ = evaluator_.changed_.size();
    evaluator_.changed_.emplace_back();
  }
  Budget& budget = evaluator_.runtime_.budget;
  SLIM_ASSIGN(Value values, MakeTuple(budget, arguments.positional));
  const std::optional<Value> last = evaluator_.changed_[*changed_slot_];
  if (last) {
    SLIM_ASSIGN(const bool same, Equal(budget, *last, values));
    if (same) return Value::Bool(false);
  }
  evaluator_.changed_[*changed_slot_] = std::move(values);
  return Value::Bool(true);
}

}  // namespace slim::tmpl
