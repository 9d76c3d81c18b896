#include "text/template_expr_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "text/template_parser.h"
#include "text/template_text.h"

namespace slim::tmpl {

namespace {

std::string WithoutUnderscores(std::string text) {
  std::erase(text, '_');
  return text;
}

}  // namespace

Error ExpressionParser::Fail(int line, Error error) const {
  error.message = fmt::format("line {}: {}", line, error.message);
  return error;
}

Error ExpressionParser::Fail(std::string message) const {
  return Fail(Current().line, SyntaxError(std::move(message)));
}

Status ExpressionParser::Nested::Check() const {
  if (parser_.nesting_ <= kMaxNesting) return {};
  return parser_.Fail(
      parser_.Current().line,
      InputError("TPL-limit", fmt::format("nested deeper than {} levels", kMaxNesting)));
}

ExprPtr ExpressionParser::Make(ExprKind kind, int line) {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = line;
  return expr;
}

Result<ExprPtr> ExpressionParser::Finish(ExprPtr expr) const {
  int height = 0;
  const auto look = [&](const ExprPtr& child) {
    if (child) height = std::max(height, child->height);
  };
  for (const ExprPtr& child : expr->children) look(child);
  for (const ExprPtr& argument : expr->arguments.positional) look(argument);
  for (const auto& [name, argument] : expr->arguments.keyword) look(argument);
  look(expr->arguments.spread);
  look(expr->arguments.keyword_spread);
  expr->height = height + 1;
  if (expr->height > kMaxHeight) {
    return Fail(
        expr->line,
        InputError("TPL-limit", fmt::format("an expression of more than {} levels", kMaxHeight)));
  }
  return expr;
}

bool ExpressionParser::SkipName(std::string_view name) {
  if (!Current().IsName(name)) return false;
  Take();
  return true;
}

bool ExpressionParser::SkipOperator(std::string_view name) {
  if (!Current().IsOperator(name)) return false;
  Take();
  return true;
}

Status ExpressionParser::ExpectOperator(std::string_view name) {
  if (SkipOperator(name)) return {};
  return Fail(fmt::format("expected '{}', found {}", name, Current().Describe()));
}

Status ExpressionParser::Expect(TokenKind kind, std::string_view what) {
  if (Current().kind != kind) {
    return Fail(fmt::format("expected {}, found {}", what, Current().Describe()));
  }
  Take();
  return {};
}

Result<std::string> ExpressionParser::ExpectAnyName() {
  if (Current().kind != TokenKind::kName) {
    return Fail(fmt::format("expected a name, found {}", Current().Describe()));
  }
  return Take().text;
}

Result<ExprPtr> ExpressionParser::Expression(bool conditional) {
  const Nested nested(*this);
  SLIM_TRY(nested.Check());
  const int line = Current().line;
  SLIM_ASSIGN(ExprPtr value, Or());
  while (conditional && SkipName("if")) {
    ExprPtr expr = Make(ExprKind::kConditional, line);
    SLIM_ASSIGN(ExprPtr condition, Or());
    ExprPtr otherwise;
    if (SkipName("else")) {
      SLIM_ASSIGN(otherwise, Expression());
    }
    expr->children.push_back(std::move(condition));
    expr->children.push_back(std::move(value));
    expr->children.push_back(std::move(otherwise));
    SLIM_ASSIGN(value, Finish(std::move(expr)));
  }
  return value;
}

Result<ExprPtr> ExpressionParser::LeftAssociative(Level level,
                                                  std::vector<std::string_view> operators) {
  SLIM_ASSIGN(ExprPtr left, (this->*level)());
  while (Current().kind == TokenKind::kOperator &&
         std::find(operators.begin(), operators.end(), Current().text) != operators.end()) {
    ExprPtr expr = Make(ExprKind::kArithmetic, Current().line);
    expr->name = Take().text;
    SLIM_ASSIGN(ExprPtr right, (this->*level)());
    expr->children.push_back(std::move(left));
    expr->children.push_back(std::move(right));
    SLIM_ASSIGN(left, Finish(std::move(expr)));
  }
  return left;
}

Result<ExprPtr> ExpressionParser::Or() {
  SLIM_ASSIGN(ExprPtr left, And());
  while (Current().IsName("or")) {
    ExprPtr expr = Make(ExprKind::kOr, Take().line);
    SLIM_ASSIGN(ExprPtr right, And());
    expr->children.push_back(std::move(left));
    expr->children.push_back(std::move(right));
    SLIM_ASSIGN(left, Finish(std::move(expr)));
  }
  return left;
}

Result<ExprPtr> ExpressionParser::And() {
  SLIM_ASSIGN(ExprPtr left, Not());
  while (Current().IsName("and")) {
    ExprPtr expr = Make(ExprKind::kAnd, Take().line);
    SLIM_ASSIGN(ExprPtr right, Not());
    expr->children.push_back(std::move(left));
    expr->children.push_back(std::move(right));
    SLIM_ASSIGN(left, Finish(std::move(expr)));
  }
  return left;
}

Result<ExprPtr> ExpressionParser::Not() {
  if (!Current().IsName("not")) return Compare();
  const Nested nested(*this);
  SLIM_TRY(nested.Check());
  ExprPtr expr = Make(ExprKind::kNot, Take().line);
  SLIM_ASSIGN(ExprPtr operand, Not());
  expr->children.push_back(std::move(operand));
  return Finish(std::move(expr));
}

Result<ExprPtr> ExpressionParser::Compare() {
  constexpr std::array<std::string_view, 6> kOperators = {"==", "!=", "<", "<=", ">", ">="};
  SLIM_ASSIGN(ExprPtr first, Sum());
  ExprPtr expr;
  while (true) {
    std::string name;
    const int line = Current().line;
    if (Current().kind == TokenKind::kOperator &&
        std::find(kOperators.begin(), kOperators.end(), Current().text) != kOperators.end()) {
      name = Take().text;
    } else if (SkipName("in")) {
      name = "in";
    } else if (Current().IsName("not") && Ahead().IsName("in")) {
      Take();
      Take();
      name = "not in";
    } else {
      break;
    }
    if (!expr) {
      expr = Make(ExprKind::kCompare, line);
      expr->children.push_back(std::move(first));
    }
    expr->operators.push_back(std::move(name));
    SLIM_ASSIGN(ExprPtr operand, Sum());
    expr->children.push_back(std::move(operand));
  }
  if (!expr) return first;
  return Finish(std::move(expr));
}

Result<ExprPtr> ExpressionParser::Sum() {
  return LeftAssociative(&ExpressionParser::Concat, {"+", "-"});
}

Result<ExprPtr> ExpressionParser::Concat() {
  SLIM_ASSIGN(ExprPtr first, Product());
  if (!Current().IsOperator("~")) return first;
  ExprPtr expr = Make(ExprKind::kConcat, Current().line);
  expr->children.push_back(std::move(first));
  while (SkipOperator("~")) {
    SLIM_ASSIGN(ExprPtr part, Product());
    expr->children.push_back(std::move(part));
  }
  return Finish(std::move(expr));
}

Result<ExprPtr> ExpressionParser::Product() {
  return LeftAssociative(&ExpressionParser::Power, {"*", "/", "//", "%"});
}

Result<ExprPtr> ExpressionParser::Power() {
  SLIM_ASSIGN(ExprPtr left, Unary(true));
  while (Current().IsOperator("**")) {
    ExprPtr expr = Make(ExprKind::kArithmetic, Current().line);
    expr->name = Take().text;
    SLIM_ASSIGN(ExprPtr right, Unary(true));
    expr->children.push_back(std::move(left));
    expr->children.push_back(std::move(right));
    SLIM_ASSIGN(left, Finish(std::move(expr)));
  }
  return left;
}

Result<ExprPtr> ExpressionParser::Unary(bool with_filters) {
  const Nested nested(*this);
  SLIM_TRY(nested.Check());
  ExprPtr value;
  if (Current().IsOperator("-") || Current().IsOperator("+")) {
    const bool negative = Current().IsOperator("-");
    ExprPtr expr = Make(negative ? ExprKind::kNegative : ExprKind::kPositive, Take().line);
    SLIM_ASSIGN(ExprPtr operand, Unary(false));
    expr->children.push_back(std::move(operand));
    SLIM_ASSIGN(value, Finish(std::move(expr)));
  } else {
    SLIM_ASSIGN(value, Primary());
  }
  SLIM_ASSIGN(value, Postfix(std::move(value)));
  if (!with_filters) return value;
  return Filters(std::move(value));
}

Result<ExprPtr> ExpressionParser::Primary() {
  const int line = Current().line;
  switch (Current().kind) {
    case TokenKind::kName:
      return Name();
    case TokenKind::kString: {
      std::string text = Take().text;
      while (Current().kind == TokenKind::kString) text += Take().text;
      ExprPtr expr = Make(ExprKind::kConstant, line);
      expr->constant = Value::String(std::move(text));
      return expr;
    }
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return Number();
    default:
      break;
  }
  if (SkipOperator("(")) {
    SLIM_ASSIGN(ExprPtr value, TupleOrExpression(true, "", true));
    SLIM_TRY(ExpectOperator(")"));
    return value;
  }
  if (Current().IsOperator("[")) return ListLiteral();
  if (Current().IsOperator("{")) return DictLiteral();
  return Fail("expected an expression, found " + Current().Describe());
}

Result<ExprPtr> ExpressionParser::Name() {
  const int line = Current().line;
  std::string name = Take().text;
  ExprPtr expr = Make(ExprKind::kConstant, line);
  if (name == "true" || name == "True" || name == "false" || name == "False") {
    expr->constant = Value::Bool(name == "true" || name == "True");
    return expr;
  }
  if (name == "none" || name == "None") return expr;
  for (SpecialNames& special : open_macros_) {
    special.caller = special.caller || name == "caller";
    special.varargs = special.varargs || name == "varargs";
    special.kwargs = special.kwargs || name == "kwargs";
  }
  expr->kind = ExprKind::kName;
  expr->name = std::move(name);
  return expr;
}

Result<ExprPtr> ExpressionParser::Number() {
  const Token token = Take();
  ExprPtr expr = Make(ExprKind::kConstant, token.line);
  const std::string digits = WithoutUnderscores(token.text);
  if (token.kind == TokenKind::kFloat) {
    expr->constant = Value::Float(ParseFloat(digits).value_or(0));
    return expr;
  }
  auto value = ParseInteger(digits, 0);
  if (!value.ok()) return Fail(token.line, std::move(value).error());
  if (!*value) return Fail(token.line, SyntaxError("not a number: " + token.Describe()));
  expr->constant = Value::Integer(**value);
  return expr;
}

bool ExpressionParser::TupleEnds(std::string_view stop) const {
  return Current().kind == TokenKind::kVariableEnd || Current().kind == TokenKind::kBlockEnd ||
         Current().IsOperator(")") || (!stop.empty() && Current().IsName(stop));
}

Result<ExprPtr> ExpressionParser::TupleOrExpression(bool conditional, std::string_view stop,
                                                    bool in_parentheses) {
  ExprPtr tuple = Make(ExprKind::kTuple, Current().line);
  bool is_tuple = false;
  while (!TupleEnds(stop)) {
    SLIM_ASSIGN(ExprPtr item, Expression(conditional));
    tuple->children.push_back(std::move(item));
    if (!SkipOperator(",")) break;
    is_tuple = true;
  }
  if (is_tuple) return Finish(std::move(tuple));
  if (!tuple->children.empty()) return std::move(tuple->children.front());
  if (!in_parentheses) return Fail("expected an expression, found " + Current().Describe());
  return tuple;
}

Result<ExprPtr> ExpressionParser::ListLiteral() {
  ExprPtr list = Make(ExprKind::kList, Take().line);
  while (!Current().IsOperator("]")) {
    if (!list->children.empty()) SLIM_TRY(ExpectOperator(","));
    if (Current().IsOperator("]")) break;
    SLIM_ASSIGN(ExprPtr item, Expression());
    list->children.push_back(std::move(item));
  }
  SLIM_TRY(ExpectOperator("]"));
  return Finish(std::move(list));
}

Result<ExprPtr> ExpressionParser::DictLiteral() {
  ExprPtr dict = Make(ExprKind::kDict, Take().line);
  while (!Current().IsOperator("}")) {
    if (!dict->children.empty()) SLIM_TRY(ExpectOperator(","));
    if (Current().IsOperator("}")) break;
    SLIM_ASSIGN(ExprPtr key, Expression());
    SLIM_TRY(ExpectOperator(":"));
    SLIM_ASSIGN(ExprPtr value, Expression());
    dict->children.push_back(std::move(key));
    dict->children.push_back(std::move(value));
  }
  SLIM_TRY(ExpectOperator("}"));
  return Finish(std::move(dict));
}

Result<ExprPtr> ExpressionParser::Postfix(ExprPtr value) {
  while (true) {
    if (Current().IsOperator(".")) {
      SLIM_ASSIGN(value, Attribute(std::move(value)));
    } else if (Current().IsOperator("[")) {
      SLIM_ASSIGN(value, Subscript(std::move(value)));
    } else if (Current().IsOperator("(")) {
      ExprPtr call = Make(ExprKind::kCall, Current().line);
      call->children.push_back(std::move(value));
      SLIM_TRY(Arguments(call->arguments));
      SLIM_ASSIGN(value, Finish(std::move(call)));
    } else {
      return value;
    }
  }
}

Result<ExprPtr> ExpressionParser::Attribute(ExprPtr object) {
  ExprPtr expr = Make(ExprKind::kAttribute, Take().line);
  expr->children.push_back(std::move(object));
  if (Current().kind == TokenKind::kInteger) {
    SLIM_ASSIGN(ExprPtr index, Number());
    expr->kind = ExprKind::kItem;
    expr->children.push_back(std::move(index));
  } else {
    SLIM_ASSIGN(expr->name, ExpectAnyName());
  }
  return Finish(std::move(expr));
}

Result<ExprPtr> ExpressionParser::Subscript(ExprPtr object) {
  Take();
  SLIM_ASSIGN(ExprPtr expr, SliceOrKey(std::move(object)));
  if (Current().IsOperator(",")) {
    if (expr->kind == ExprKind::kSlice) {
      return Fail(expr->line, Unsupported("a subscript of several slices is not supported"));
    }
    ExprPtr tuple = Make(ExprKind::kTuple, expr->line);
    tuple->children.push_back(std::move(expr->children[1]));
    while (SkipOperator(",")) {
      SLIM_ASSIGN(ExprPtr item, Expression());
      tuple->children.push_back(std::move(item));
    }
    SLIM_ASSIGN(expr->children[1], Finish(std::move(tuple)));
  }
  SLIM_TRY(ExpectOperator("]"));
  return Finish(std::move(expr));
}

Result<ExprPtr> ExpressionParser::SliceOrKey(ExprPtr object) {
  ExprPtr expr = Make(ExprKind::kItem, Current().line);
  expr->children.push_back(std::move(object));
  ExprPtr first;
  if (!Current().IsOperator(":")) {
    SLIM_ASSIGN(first, Expression());
  }
  expr->children.push_back(std::move(first));
  if (!Current().IsOperator(":")) return expr;
  expr->kind = ExprKind::kSlice;
  for (int part = 0; part < 2; ++part) {
    ExprPtr bound;
    if (SkipOperator(":") && !Current().IsOperator(":") && !Current().IsOperator("]") &&
        !Current().IsOperator(",")) {
      SLIM_ASSIGN(bound, Expression());
    }
    expr->children.push_back(std::move(bound));
  }
  return expr;
}

Status ExpressionParser::Arguments(CallArguments& arguments) {
  SLIM_TRY(ExpectOperator("("));
  bool first = true;
  while (!Current().IsOperator(")")) {
    if (!first) SLIM_TRY(ExpectOperator(","));
    first = false;
    if (Current().IsOperator(")")) break;
    SLIM_TRY(OneArgument(arguments));
  }
  return ExpectOperator(")");
}

Status ExpressionParser::OneArgument(CallArguments& arguments) {
  const auto misplaced = [this] { return Fail("arguments in the wrong order"); };
  if (SkipOperator("*")) {
    if (arguments.spread || arguments.keyword_spread) return misplaced();
    SLIM_ASSIGN(arguments.spread, Expression());
    return {};
  }
  if (arguments.keyword_spread) return misplaced();
  if (SkipOperator("**")) {
    SLIM_ASSIGN(arguments.keyword_spread, Expression());
    return {};
  }
  if (Current().kind == TokenKind::kName && Ahead().IsOperator("=")) {
    std::string name = Take().text;
    Take();
    SLIM_ASSIGN(ExprPtr value, Expression());
    arguments.keyword.emplace_back(std::move(name), std::move(value));
    return {};
  }
  if (arguments.spread || !arguments.keyword.empty()) return misplaced();
  SLIM_ASSIGN(ExprPtr value, Expression());
  arguments.positional.push_back(std::move(value));
  return {};
}

Result<ExprPtr> ExpressionParser::Filters(ExprPtr value) {
  while (true) {
    if (Current().IsOperator("|")) {
      SLIM_ASSIGN(value, AfterPipes(std::move(value)));
    } else if (Current().IsName("is")) {
      SLIM_ASSIGN(value, Test(std::move(value)));
    } else if (Current().IsOperator("(")) {
      SLIM_ASSIGN(value, Postfix(std::move(value)));
    } else {
      return value;
    }
  }
}

Result<ExprPtr> ExpressionParser::AfterPipes(ExprPtr value) {
  while (SkipOperator("|")) {
    ExprPtr filter = Make(ExprKind::kFilter, Current().line);
    SLIM_ASSIGN(filter->name, ExpectAnyName());
    while (SkipOperator(".")) {
      SLIM_ASSIGN(const std::string part, ExpectAnyName());
      filter->name += "." + part;
    }
    filter->children.push_back(std::move(value));
    if (Current().IsOperator("(")) SLIM_TRY(Arguments(filter->arguments));
    SLIM_ASSIGN(value, Finish(std::move(filter)));
  }
  return value;
}

Result<ExprPtr> ExpressionParser::FilterChain(ExprPtr value) {
  ExprPtr filter = Make(ExprKind::kFilter, Current().line);
  SLIM_ASSIGN(filter->name, ExpectAnyName());
  filter->children.push_back(std::move(value));
  if (Current().IsOperator("(")) SLIM_TRY(Arguments(filter->arguments));
  SLIM_ASSIGN(value, Finish(std::move(filter)));
  return AfterPipes(std::move(value));
}

Result<ExprPtr> ExpressionParser::Test(ExprPtr value) {
  ExprPtr test = Make(ExprKind::kTest, Take().line);
  const bool negated = SkipName("not");
  SLIM_ASSIGN(test->name, ExpectAnyName());
  test->children.push_back(std::move(value));
  const Token& next = Current();
  const bool takes_name = next.kind == TokenKind::kName && !next.IsName("else") &&
                          !next.IsName("or") && !next.IsName("and");
  if (next.IsOperator("(")) {
    SLIM_TRY(Arguments(test->arguments));
  } else if (takes_name || next.kind == TokenKind::kString || next.kind == TokenKind::kInteger ||
             next.kind == TokenKind::kFloat || next.IsOperator("[") || next.IsOperator("{")) {
    if (next.IsName("is")) return Fail("tests cannot be chained with 'is'");
    SLIM_ASSIGN(ExprPtr argument, Primary());
    SLIM_ASSIGN(argument, Postfix(std::move(argument)));
    test->arguments.positional.push_back(std::move(argument));
  }
  SLIM_ASSIGN(ExprPtr expr, Finish(std::move(test)));
  if (!negated) return expr;
  ExprPtr inverse = Make(ExprKind::kNot, expr->line);
  inverse->children.push_back(std::move(expr));
  return Finish(std::move(inverse));
}

}  // namespace slim::tmpl
