#include "text/template_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>

#include "base/text.h"
#include "text/template_expr_parser.h"
#include "text/template_lexer.h"

namespace slim::tmpl {
namespace {

constexpr size_t kMaxSourceBytes = 4ULL << 20;

// Tags of Jinja that a chat template has no use for.
constexpr std::array<std::string_view, 9> kRefusedTags = {
    "block", "extends", "include", "import", "from", "autoescape", "print", "do", "trans"};

class StatementParser {
 public:
  explicit StatementParser(std::vector<Token> tokens) : expr_(std::move(tokens)) {}

  Result<Template> Run() {
    Template result;
    SLIM_ASSIGN(result.body, Statements({}));
    return result;
  }

 private:
  using EndTags = std::initializer_list<std::string_view>;

  // Statements up to one of `end_tags`, which becomes the current token; without end tags up to the
  // end.
  Result<Body> Statements(EndTags end_tags) {
    const ExpressionParser::Nested nested(expr_);
    SLIM_TRY(nested.Check());
    Body body;
    while (true) {
      const Token& token = expr_.Current();
      switch (token.kind) {
        case TokenKind::kEnd:
          if (end_tags.size() == 0) return body;
          return expr_.Fail(fmt::format("the template ends where {} is due", Names(end_tags)));
        case TokenKind::kData: {
          StmtPtr data = Make(StmtKind::kData, token.line);
          data->text = expr_.Take().text;
          body.push_back(std::move(data));
          break;
        }
        case TokenKind::kVariableBegin: {
          SLIM_ASSIGN(StmtPtr print, Print());
          body.push_back(std::move(print));
          break;
        }
        default: {
          expr_.Take();  // the begin of a block
          const Token& tag = expr_.Current();
          if (std::any_of(end_tags.begin(), end_tags.end(),
                          [&](std::string_view name) { return tag.IsName(name); })) {
            return body;
          }
          SLIM_ASSIGN(StmtPtr statement, Statement(end_tags));
          SLIM_TRY(expr_.Expect(TokenKind::kBlockEnd, "the end of the tag"));
          body.push_back(std::move(statement));
        }
      }
    }
  }

  static std::string Names(EndTags tags) {
    return Join(std::vector<std::string>(tags.begin(), tags.end()), " or ");
  }

  static StmtPtr Make(StmtKind kind, int line) {
    auto statement = std::make_unique<Stmt>();
    statement->kind = kind;
    statement->line = line;
    return statement;
  }

  Result<StmtPtr> Print() {
    StmtPtr print = Make(StmtKind::kPrint, expr_.Take().line);
    SLIM_ASSIGN(ExprPtr value, expr_.TupleOrExpression());
    print->expressions.push_back(std::move(value));
    SLIM_TRY(expr_.Expect(TokenKind::kVariableEnd, "'}}'"));
    return print;
  }

  Result<StmtPtr> Statement(EndTags end_tags) {
    if (expr_.Current().kind != TokenKind::kName) {
      return expr_.Fail("expected the name of a tag, found " + expr_.Current().Describe());
    }
    const Token tag = expr_.Take();
    const std::string& name = tag.text;
    if (name == "if") return If(tag.line);
    if (name == "for") return For(tag.line);
    if (name == "set") return Set(tag.line);
    if (name == "macro") return Macro(tag.line);
    if (name == "call") return CallBlock(tag.line);
    if (name == "filter") return FilterBlock(tag.line);
    if (name == "with") return With(tag.line);
    if (name == "generation") return Generation(tag.line);
    if (name == "break" || name == "continue") return LoopControl(tag);
    if (std::find(kRefusedTags.begin(), kRefusedTags.end(), name) != kRefusedTags.end()) {
      return expr_.Fail(tag.line, Unsupported(fmt::format("tag '{}' is not supported", name)));
    }
    const std::string due = end_tags.size() == 0 ? "" : ", " + Names(end_tags) + " is due";
    return expr_.Fail(tag.line, SyntaxError(fmt::format("unknown tag {}{}", Quote(name), due)));
  }

  // The rest of an opening tag, and the statements behind it.
  Result<Body> BodyUntil(EndTags end_tags) {
    expr_.SkipOperator(":");
    SLIM_TRY(expr_.Expect(TokenKind::kBlockEnd, "the end of the tag"));
    return Statements(end_tags);
  }

  // A body that has one way to end.
  Result<Body> BodyThrough(std::string_view end_tag) {
    SLIM_ASSIGN(Body body, BodyUntil({end_tag}));
    expr_.Take();
    return body;
  }

  Result<StmtPtr> If(int line) {
    StmtPtr statement = Make(StmtKind::kIf, line);
    while (true) {
      Branch branch;
      SLIM_ASSIGN(branch.condition, expr_.TupleOrExpression(false));
      SLIM_ASSIGN(branch.body, BodyUntil({"elif", "else", "endif"}));
      statement->branches.push_back(std::move(branch));
      const auto end = expr_.Take();
      if (end.text == "elif") continue;
      if (end.text == "else") {
        Branch otherwise;
        SLIM_ASSIGN(otherwise.body, BodyThrough("endif"));
        statement->branches.push_back(std::move(otherwise));
      }
      return statement;
    }
  }

  Result<StmtPtr> For(int line) {
    StmtPtr statement = Make(StmtKind::kFor, line);
    SLIM_ASSIGN(Target target, AssignTarget("in", false));
    statement->targets.push_back(std::move(target));
    if (!expr_.SkipName("in"))
      return expr_.Fail("expected 'in', found " + expr_.Current().Describe());
    SLIM_ASSIGN(ExprPtr source, expr_.TupleOrExpression(false, "recursive"));
    ExprPtr filter;
    if (expr_.SkipName("if")) {
      SLIM_ASSIGN(filter, expr_.Expression());
    }
    if (expr_.Current().IsName("recursive")) {
      return expr_.Fail(line, Unsupported("a recursive for loop is not supported"));
    }
    statement->expressions.push_back(std::move(source));
    statement->expressions.push_back(std::move(filter));
    ++loops_;
    auto body = BodyUntil({"endfor", "else"});
    --loops_;
    SLIM_ASSIGN(statement->body, std::move(body));
    if (expr_.Take().text == "else") {
      SLIM_ASSIGN(statement->otherwise, BodyThrough("endfor"));
    }
    return statement;
  }

  Result<StmtPtr> LoopControl(const Token& tag) {
    if (loops_ == 0) {
      return expr_.Fail(tag.line, SyntaxError(fmt::format("'{}' outside of a loop", tag.text)));
    }
    return Make(tag.text == "break" ? StmtKind::kBreak : StmtKind::kContinue, tag.line);
  }

  Result<Target> OneTarget(bool with_attribute) {
    Target target;
    target.line = expr_.Current().line;
    if (expr_.SkipOperator("(")) {
      SLIM_ASSIGN(target, AssignTarget("", with_attribute));
      SLIM_TRY(expr_.ExpectOperator(")"));
      return target;
    }
    SLIM_ASSIGN(target.name, expr_.ExpectAnyName());
    constexpr std::array<std::string_view, 6> kConstants = {"true", "false", "none",
                                                            "True", "False", "None"};
    if (std::find(kConstants.begin(), kConstants.end(), target.name) != kConstants.end()) {
      return expr_.Fail(fmt::format("cannot assign to '{}'", target.name));
    }
    if (with_attribute && expr_.SkipOperator(".")) {
      SLIM_ASSIGN(target.attribute, expr_.ExpectAnyName());
    }
    return target;
  }

  // a | a, b | (a, b) | ns.a
  Result<Target> AssignTarget(std::string_view stop, bool with_attribute) {
    const ExpressionParser::Nested nested(expr_);
    SLIM_TRY(nested.Check());
    SLIM_ASSIGN(Target first, OneTarget(with_attribute));
    if (!expr_.Current().IsOperator(",")) return first;
    Target tuple;
    tuple.line = first.line;
    tuple.is_tuple = true;
    tuple.parts.push_back(std::move(first));
    while (expr_.SkipOperator(",")) {
      const bool ends =
          expr_.Current().kind != TokenKind::kName && !expr_.Current().IsOperator("(");
      if (ends || (!stop.empty() && expr_.Current().IsName(stop))) break;
      SLIM_ASSIGN(Target part, OneTarget(with_attribute));
      tuple.parts.push_back(std::move(part));
    }
    return tuple;
  }

  Result<StmtPtr> Set(int line) {
    StmtPtr statement = Make(StmtKind::kSet, line);
    SLIM_ASSIGN(Target target, AssignTarget("", true));
    statement->targets.push_back(std::move(target));
    if (expr_.SkipOperator("=")) {
      SLIM_ASSIGN(ExprPtr value, expr_.TupleOrExpression());
      statement->expressions.push_back(std::move(value));
      return statement;
    }
    statement->kind = StmtKind::kSetBlock;
    SLIM_ASSIGN(ExprPtr filter, expr_.AfterPipes(nullptr));
    statement->expressions.push_back(std::move(filter));
    SLIM_ASSIGN(statement->body, BodyThrough("endset"));
    return statement;
  }

  Status Signature(std::vector<Parameter>& parameters) {
    SLIM_TRY(expr_.ExpectOperator("("));
    while (!expr_.Current().IsOperator(")")) {
      if (!parameters.empty()) SLIM_TRY(expr_.ExpectOperator(","));
      Parameter parameter;
      SLIM_ASSIGN(parameter.name, expr_.ExpectAnyName());
      if (expr_.SkipOperator("=")) {
        SLIM_ASSIGN(parameter.otherwise, expr_.Expression());
      } else if (!parameters.empty() && parameters.back().otherwise) {
        return expr_.Fail("a parameter without default follows one with a default");
      }
      parameters.push_back(std::move(parameter));
    }
    return expr_.ExpectOperator(")");
  }

  // The body of a macro or call block, where an outer loop cannot be left.
  Status MacroBody(Stmt& statement, std::string_view end_tag) {
    const int outer_loops = std::exchange(loops_, 0);
    expr_.open_macros().emplace_back();
    auto body = BodyThrough(end_tag);
    const auto special = expr_.open_macros().back();
    expr_.open_macros().pop_back();
    loops_ = outer_loops;
    statement.reads_caller = special.caller;
    statement.reads_varargs = special.varargs;
    statement.reads_kwargs = special.kwargs;
    SLIM_ASSIGN(statement.body, std::move(body));
    return {};
  }

  Result<StmtPtr> Macro(int line) {
    StmtPtr statement = Make(StmtKind::kMacro, line);
    SLIM_ASSIGN(statement->text, expr_.ExpectAnyName());
    SLIM_TRY(Signature(statement->parameters));
    SLIM_TRY(MacroBody(*statement, "endmacro"));
    return statement;
  }

  Result<StmtPtr> CallBlock(int line) {
    StmtPtr statement = Make(StmtKind::kCallBlock, line);
    statement->text = "caller";
    if (expr_.Current().IsOperator("(")) SLIM_TRY(Signature(statement->parameters));
    SLIM_ASSIGN(ExprPtr call, expr_.Expression());
    if (call->kind != ExprKind::kCall) {
      return expr_.Fail(line, SyntaxError("a call block needs a call"));
    }
    statement->expressions.push_back(std::move(call));
    SLIM_TRY(MacroBody(*statement, "endcall"));
    return statement;
  }

  Result<StmtPtr> FilterBlock(int line) {
    StmtPtr statement = Make(StmtKind::kFilterBlock, line);
    SLIM_ASSIGN(ExprPtr filter, expr_.FilterChain(nullptr));
    statement->expressions.push_back(std::move(filter));
    SLIM_ASSIGN(statement->body, BodyThrough("endfilter"));
    return statement;
  }

  Result<StmtPtr> With(int line) {
    StmtPtr statement = Make(StmtKind::kWith, line);
    while (expr_.Current().kind != TokenKind::kBlockEnd) {
      if (!statement->targets.empty()) SLIM_TRY(expr_.ExpectOperator(","));
      SLIM_ASSIGN(Target target, OneTarget(false));
      SLIM_TRY(expr_.ExpectOperator("="));
      SLIM_ASSIGN(ExprPtr value, expr_.Expression());
      statement->targets.push_back(std::move(target));
      statement->expressions.push_back(std::move(value));
    }
    SLIM_ASSIGN(statement->body, BodyThrough("endwith"));
    return statement;
  }

  // Marks what the assistant wrote, for training masks; transformers makes a call block of it.
  Result<StmtPtr> Generation(int line) {
    StmtPtr statement = Make(StmtKind::kGeneration, line);
    statement->text = "generation";
    SLIM_TRY(MacroBody(*statement, "endgeneration"));
    return statement;
  }

  ExpressionParser expr_;
  int loops_ = 0;  // loops around the current statement that break and continue can reach
};

}  // namespace

Result<Template> ParseTemplate(std::string_view source) {
  if (source.size() > kMaxSourceBytes) {
    return InputError("TPL-limit", fmt::format("the template has {} bytes, more than {}",
                                               source.size(), kMaxSourceBytes));
  }
  if (!IsUtf8(source)) return SyntaxError("the template is not UTF-8");
  SLIM_ASSIGN(std::vector<Token> tokens, Tokenize(source));
  return StatementParser(std::move(tokens)).Run();
}

}  // namespace slim::tmpl
