// Arithmetic of template_ops.h.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "text/template_ops.h"
#include "text/template_print.h"
#include "text/template_text.h"

namespace slim::tmpl {
namespace {

Error TooLarge() { return Overflow("an integer result does not fit 64 bits"); }

// Python rounds // and % towards minus infinity.
int64_t FloorDivide(int64_t a, int64_t b) {
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

double FloorModulo(double a, double b) {
  double remainder = std::fmod(a, b);
  if (remainder != 0) {
    if ((b < 0) != (remainder < 0)) remainder += b;
  } else {
    remainder = std::copysign(0.0, b);
  }
  return remainder;
}

double FloorDivideReal(double a, double b) {
  const double remainder = std::fmod(a, b);
  double quotient = (a - remainder) / b;
  if (remainder != 0 && (b < 0) != (remainder < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

Result<Value> IntegerPower(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) return ValueError("0 cannot be raised to a negative power");
    return Value::Float(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) return TooLarge();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) return TooLarge();
  }
  return Value::Integer(result);
}

Result<Value> OnIntegers(std::string_view name, int64_t a, int64_t b) {
  int64_t result = 0;
  if (name == "+") {
    if (__builtin_add_overflow(a, b, &result)) return TooLarge();
    return Value::Integer(result);
  }
  if (name == "-") {
    if (__builtin_sub_overflow(a, b, &result)) return TooLarge();
    return Value::Integer(result);
  }
  if (name == "*") {
    if (__builtin_mul_overflow(a, b, &result)) return TooLarge();
    return Value::Integer(result);
  }
  if (name == "**") return IntegerPower(a, b);
  if (b == 0) return ValueError("division by zero");
  // A long double holds both exactly.
  if (name == "/") {
    return Value::Float(
        static_cast<double>(static_cast<long double>(a) / static_cast<long double>(b)));
  }
  if (b == -1) {  // the one quotient that overflows, and a remainder that traps
    if (name == "%") return Value::Integer(0);
    if (__builtin_sub_overflow(int64_t{0}, a, &result)) return TooLarge();
    return Value::Integer(result);
  }
  const int64_t quotient = FloorDivide(a, b);
  return Value::Integer(name == "//" ? quotient : a - quotient * b);
}

Result<Value> OnReals(std::string_view name, double a, double b) {
  if (name == "+") return Value::Float(a + b);
  if (name == "-") return Value::Float(a - b);
  if (name == "*") return Value::Float(a * b);
  if (name == "**") {
    if (a == 0 && b < 0) return ValueError("0.0 cannot be raised to a negative power");
    const double power = std::pow(a, b);
    if (std::isinf(power) && std::isfinite(a) && std::isfinite(b)) {
      return Overflow("a power is too large for a float");
    }
    if (std::isnan(power) && !std::isnan(a) && !std::isnan(b)) {
      return Unsupported("complex numbers are not supported");
    }
    return Value::Float(power);
  }
  if (b == 0) return ValueError("division by zero");
  if (name == "/") return Value::Float(a / b);
  return Value::Float(name == "//" ? FloorDivideReal(a, b) : FloorModulo(a, b));
}

Result<Value> Repeat(Budget& budget, const Value& value, int64_t count) {
  const uint64_t times = count > 0 ? static_cast<uint64_t>(count) : 0;
  if (value.Is(Kind::kString)) {
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(times, value.text().size(), &bytes)) {
      bytes = std::numeric_limits<uint64_t>::max();
    }
    SLIM_TRY(budget.Text(bytes));
    std::string text;
    text.reserve(bytes);
    for (uint64_t i = 0; bytes > 0 && i < times; ++i) text += value.text();
    return Value::String(std::move(text), value.markup());
  }
  uint64_t elements = 0;
  if (__builtin_mul_overflow(times, value.items().size(), &elements)) {
    elements = std::numeric_limits<uint64_t>::max();
  }
  SLIM_TRY(budget.Steps(elements));
  Values items;
  items.reserve(elements);
  for (uint64_t i = 0; elements > 0 && i < times; ++i) {
    items.insert(items.end(), value.items().begin(), value.items().end());
  }
  return value.Is(Kind::kList) ? Value::List(std::move(items)) : Value::Tuple(std::move(items));
}

// Text marked as safe escapes the other text.
Result<Value> JoinedText(Budget& budget, const Value& a, const Value& b) {
  SLIM_TRY(budget.Fits(a.text().size() + b.text().size()));
  const bool markup = a.markup() || b.markup();
  std::string out;
  for (const Value* part : {&a, &b}) {
    out += markup && !part->markup() ? EscapeHtml(part->text()) : part->text();
  }
  return MakeString(budget, std::move(out), markup);
}

Result<Value> Joined(Budget& budget, const Value& a, const Value& b) {
  if (a.Is(Kind::kString)) return JoinedText(budget, a, b);
  Values items = a.items();
  items.insert(items.end(), b.items().begin(), b.items().end());
  return a.Is(Kind::kList) ? MakeList(budget, std::move(items))
                           : MakeTuple(budget, std::move(items));
}

}  // namespace

Result<Value> Arithmetic(Budget& budget, std::string_view name, const Value& a, const Value& b) {
  if (a.IsIntegral() && b.IsIntegral()) return OnIntegers(name, a.integer(), b.integer());
  if (a.IsNumber() && b.IsNumber()) return OnReals(name, a.real(), b.real());
  if (a.IsUndefined()) return UndefinedError(a.text());
  if (b.IsUndefined() && !(name == "%" && a.Is(Kind::kString))) return UndefinedError(b.text());
  if (name == "%" && a.Is(Kind::kString)) {
    return Unsupported("formatting text with % is not supported");
  }
  const auto repeatable = [](const Value& v) { return v.IsSequence() || v.Is(Kind::kString); };
  if (name == "+" && a.kind() == b.kind() && repeatable(a)) return Joined(budget, a, b);
  if (name == "*" && repeatable(a) && b.IsIntegral()) return Repeat(budget, a, b.integer());
  if (name == "*" && a.IsIntegral() && repeatable(b)) return Repeat(budget, b, a.integer());
  return TypeError(
      fmt::format("operator {} does not take {} and {}", name, TypeName(a), TypeName(b)));
}

Result<Value> Negative(const Value& value) {
  if (value.IsIntegral()) return OnIntegers("-", 0, value.integer());
  if (value.Is(Kind::kFloat)) return Value::Float(-value.real());
  if (value.IsUndefined()) return UndefinedError(value.text());
  return TypeError(fmt::format("a value of type {} has no negative", TypeName(value)));
}

Result<Value> Positive(const Value& value) {
  if (value.IsIntegral()) return Value::Integer(value.integer());
  if (value.Is(Kind::kFloat)) return value;
  if (value.IsUndefined()) return UndefinedError(value.text());
  return TypeError(fmt::format("a value of type {} is not a number", TypeName(value)));
}

Result<Value> Concat(Budget& budget, const Values& parts) {
  std::string out;
  for (const Value& part : parts) {
    if (part.Is(Kind::kString)) {
      SLIM_TRY(budget.Fits(out.size() + part.text().size()));
      out += part.text();
      continue;
    }
    SLIM_ASSIGN(const std::string text, Str(budget, part));
    SLIM_TRY(budget.Fits(out.size() + text.size()));
    out += text;
  }
  return MakeString(budget, std::move(out));
}

}  // namespace slim::tmpl
