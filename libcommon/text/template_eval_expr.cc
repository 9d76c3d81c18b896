// Expressions of template_eval.h.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "text/template_eval.h"
#include "text/template_filters.h"
#include "text/template_ops.h"

namespace slim::tmpl {

Result<Value> Evaluator::Eval(const Expr& expr) {
  if (auto spent = runtime_.budget.Steps(1); !spent.ok()) {
    return At(expr.line, std::move(spent).error());
  }
  if (nesting_ >= kMaxNodes) {
    return At(expr.line, InputError("TPL-limit", "the template nests too deep"));
  }
  ++nesting_;
  auto value = Compute(expr);
  --nesting_;
  if (!value.ok()) return At(expr.line, std::move(value).error());
  return value;
}

namespace {

Result<Value> Inverse(const Value& value) { return Value::Bool(!Truth(value)); }

}  // namespace

Result<Value> Evaluator::Compute(const Expr& expr) {
  Budget& budget = runtime_.budget;
  switch (expr.kind) {
    case ExprKind::kConstant:
      return expr.constant;
    case ExprKind::kName:
      return Name(expr);
    case ExprKind::kDict:
      return DictLiteral(expr);
    case ExprKind::kCompare:
      return Compare(expr);
    case ExprKind::kConditional:
      return Conditional(expr);
    case ExprKind::kSlice:
      return Slice(expr);
    case ExprKind::kCall:
      return Call(expr, nullptr);
    case ExprKind::kFilter:
      return Filter(expr, nullptr);
    case ExprKind::kTest:
      return Test(expr);
    case ExprKind::kAnd:
    case ExprKind::kOr: {
      SLIM_ASSIGN(Value left, Eval(*expr.children[0]));
      if (Truth(left) == (expr.kind == ExprKind::kOr)) return left;
      return Eval(*expr.children[1]);
    }
    default:
      break;
  }
  SLIM_ASSIGN(Values operands, EvalAll(expr.children));
  switch (expr.kind) {
    case ExprKind::kList:
      return MakeList(budget, std::move(operands));
    case ExprKind::kTuple:
      return MakeTuple(budget, std::move(operands));
    case ExprKind::kNot:
      return Inverse(operands[0]);
    case ExprKind::kNegative:
      return Negative(operands[0]);
    case ExprKind::kPositive:
      return Positive(operands[0]);
    case ExprKind::kArithmetic:
      return Arithmetic(budget, expr.name, operands[0], operands[1]);
    case ExprKind::kConcat:
      return Concat(budget, operands);
    case ExprKind::kAttribute:
      return GetAttribute(budget, operands[0], expr.name);
    case ExprKind::kItem:
      return GetItem(budget, operands[0], operands[1]);
    default:
      return InternalError("an expression of no known kind");
  }
}

Result<Value> Evaluator::Name(const Expr& expr) {
  if (const Value* found = scope_->Find(expr.name)) return *found;
  for (const auto& [name, value] : context_.entries()) {
    if (name.text() == expr.name) return value;
  }
  if (auto global = FindGlobal(expr.name, namespace_sink_)) return *std::move(global);
  return Value::Undefined(fmt::format("{} is undefined", Quote(expr.name)));
}

Result<Values> Evaluator::EvalAll(const std::vector<ExprPtr>& expressions) {
  Values values;
  values.reserve(expressions.size());
  for (const ExprPtr& expression : expressions) {
    SLIM_ASSIGN(Value value, Eval(*expression));
    values.push_back(std::move(value));
  }
  return values;
}

Result<Value> Evaluator::DictLiteral(const Expr& expr) {
  SLIM_ASSIGN(Values values, EvalAll(expr.children));
  Entries entries;
  for (size_t i = 0; i < values.size(); i += 2) {
    SLIM_TRY(SetKey(runtime_.budget, entries, values[i], std::move(values[i + 1])));
  }
  return MakeDict(runtime_.budget, std::move(entries));
}

Result<Value> Evaluator::Compare(const Expr& expr) {
  SLIM_ASSIGN(Value left, Eval(*expr.children[0]));
  for (size_t i = 0; i < expr.operators.size(); ++i) {
    SLIM_ASSIGN(Value right, Eval(*expr.children[i + 1]));
    SLIM_ASSIGN(const bool holds, CompareBy(runtime_.budget, expr.operators[i], left, right));
    if (!holds) return Value::Bool(false);
    left = std::move(right);
  }
  return Value::Bool(true);
}

Result<Value> Evaluator::Conditional(const Expr& expr) {
  SLIM_ASSIGN(const Value condition, Eval(*expr.children[0]));
  if (Truth(condition)) return Eval(*expr.children[1]);
  if (expr.children[2]) return Eval(*expr.children[2]);
  return Value::Undefined("the condition of an inline if without else is false");
}

Result<Value> Evaluator::Slice(const Expr& expr) {
  SLIM_ASSIGN(const Value object, Eval(*expr.children[0]));
  std::array<Value, 3> bounds;
  for (size_t i = 0; i < bounds.size(); ++i) {
    if (!expr.children[i + 1]) continue;
    SLIM_ASSIGN(bounds[i], Eval(*expr.children[i + 1]));
  }
  return GetSlice(runtime_.budget, object, bounds);
}

Result<Value> Evaluator::Call(const Expr& expr, const Value* caller) {
  SLIM_ASSIGN(const Value callee, Eval(*expr.children[0]));
  SLIM_ASSIGN(Arguments arguments, EvalArguments(expr.arguments));
  if (caller != nullptr) arguments.keyword.emplace_back("caller", *caller);
  if (callee.IsUndefined()) return UndefinedError(callee.text());
  if (!callee.Is(Kind::kCallable)) {
    return TypeError(fmt::format("a value of type {} cannot be called", TypeName(callee)));
  }
  return callee.callable().Call(runtime_, arguments);
}

Result<Value> Evaluator::Filter(const Expr& expr, const Value* block_text) {
  const ExprPtr& operand = expr.children[0];
  Value value;
  if (!operand) {
    value = *block_text;
  } else if (block_text != nullptr) {
    SLIM_ASSIGN(value, Filter(*operand, block_text));
  } else {
    SLIM_ASSIGN(value, Eval(*operand));
  }
  SLIM_ASSIGN(const Arguments arguments, EvalArguments(expr.arguments));
  auto result = ApplyFilter(runtime_, expr.name, value, arguments);
  if (!result.ok()) return At(expr.line, std::move(result).error());
  return result;
}

Result<Value> Evaluator::Test(const Expr& expr) {
  SLIM_ASSIGN(const Value value, Eval(*expr.children[0]));
  SLIM_ASSIGN(const Arguments arguments, EvalArguments(expr.arguments));
  SLIM_ASSIGN(const bool passed, ApplyTest(runtime_, expr.name, value, arguments));
  return Value::Bool(passed);
}

Result<Arguments> Evaluator::EvalArguments(const CallArguments& call) {
  Arguments arguments;
  SLIM_ASSIGN(arguments.positional, EvalAll(call.positional));
  for (const auto& [name, expression] : call.keyword) {
    SLIM_ASSIGN(Value value, Eval(*expression));
    arguments.keyword.emplace_back(name, std::move(value));
  }
  if (call.spread) {
    SLIM_ASSIGN(const Value list, Eval(*call.spread));
    SLIM_ASSIGN(const Values items, Elements(runtime_.budget, list));
    arguments.positional.insert(arguments.positional.end(), items.begin(), items.end());
  }
  if (call.keyword_spread) {
    SLIM_ASSIGN(const Value dict, Eval(*call.keyword_spread));
    SLIM_TRY(SpreadKeywords(dict, arguments));
  }
  return arguments;
}

Status Evaluator::SpreadKeywords(const Value& dict, Arguments& arguments) {
  if (!dict.Is(Kind::kDict)) {
    return TypeError(fmt::format("** takes a dict, not {}", TypeName(dict)));
  }
  SLIM_TRY(runtime_.budget.Steps(dict.entries().size()));
  for (const auto& [key, value] : dict.entries()) {
    if (!key.Is(Kind::kString)) return TypeError("** takes a dict with text keys");
    const std::string& name = key.text();
    const bool twice = std::any_of(arguments.keyword.begin(), arguments.keyword.end(),
                                   [&](const auto& argument) { return argument.first == name; });
    if (twice) return TypeError(fmt::format("argument {} is given twice", Quote(name)));
    arguments.keyword.emplace_back(name, value);
  }
  return {};
}

}  // namespace slim::tmpl
