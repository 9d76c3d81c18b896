// The expression half of the template parser: a cursor over the tokens and Jinja's ladder of
// precedence. Used by template_parser.cc only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/template_ast.h"
#include "text/template_lexer.h"

namespace slim::tmpl {

class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& Current() const { return tokens_[at_]; }
  const Token& Ahead() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  Token Take() { return at_ + 1 < tokens_.size() ? std::move(tokens_[at_++]) : tokens_[at_]; }
  bool SkipName(std::string_view name);
  bool SkipOperator(std::string_view name);
  Status ExpectOperator(std::string_view name);
  Status Expect(TokenKind kind, std::string_view what);
  Result<std::string> ExpectAnyName();
  Error Fail(std::string message) const;
  Error Fail(int line, Error error) const;

  // One expression, with or without `a if b else c`.
  Result<ExprPtr> Expression(bool conditional = true);
  // An expression, or a tuple where commas follow; `stop` is a name that ends it too.
  Result<ExprPtr> TupleOrExpression(bool conditional = true, std::string_view stop = "",
                                    bool in_parentheses = false);
  // A chain of filters after the one named next; the innermost takes `value`, null for the body of
  // a block.
  Result<ExprPtr> FilterChain(ExprPtr value);
  Result<ExprPtr> AfterPipes(ExprPtr value);

  // Special names read since the enclosing macros began: the statement parser marks them on every
  // open macro.
  struct SpecialNames {
    bool caller = false;
    bool varargs = false;
    bool kwargs = false;
  };
  std::vector<SpecialNames>& open_macros() { return open_macros_; }

  // Counts a level of nesting for as long as it lives.
  class Nested {
   public:
    explicit Nested(ExpressionParser& parser) : parser_(parser) { ++parser_.nesting_; }
    ~Nested() { --parser_.nesting_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;
    Status Check() const;

   private:
    ExpressionParser& parser_;
  };

 private:
  Result<ExprPtr> Or();
  Result<ExprPtr> And();
  Result<ExprPtr> Not();
  Result<ExprPtr> Compare();
  Result<ExprPtr> Sum();
  Result<ExprPtr> Concat();
  Result<ExprPtr> Product();
  Result<ExprPtr> Power();
  Result<ExprPtr> Unary(bool with_filters);
  Result<ExprPtr> Primary();
  Result<ExprPtr> Name();
  Result<ExprPtr> Number();
  Result<ExprPtr> ListLiteral();
  Result<ExprPtr> DictLiteral();
  Result<ExprPtr> Postfix(ExprPtr value);
  Result<ExprPtr> Attribute(ExprPtr object);
  Result<ExprPtr> Subscript(ExprPtr object);
  Result<ExprPtr> SliceOrKey(ExprPtr object);
  Result<ExprPtr> Filters(ExprPtr value);
  Result<ExprPtr> Test(ExprPtr value);
  Status Arguments(CallArguments& arguments);
  Status OneArgument(CallArguments& arguments);
  bool TupleEnds(std::string_view stop) const;

  using Level = Result<ExprPtr> (ExpressionParser::*)();
  // left op right op right …, left to right, where op is one of `operators`.
  Result<ExprPtr> LeftAssociative(Level level, std::vector<std::string_view> operators);
  // Sets the height from the children and checks it.
  Result<ExprPtr> Finish(ExprPtr expr) const;
  static ExprPtr Make(ExprKind kind, int line);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int nesting_ = 0;
  std::vector<SpecialNames> open_macros_;
};

}  // namespace slim::tmpl
