// Tokens to the tree of a template, by Jinja's grammar and precedence. Nesting is bounded here so
// that neither the parser nor the evaluator nor a destructor can run out of stack.
#pragma once

#include <string_view>

#include "base/result.h"
#include "text/template_ast.h"

namespace slim::tmpl {

// Levels of brackets and blocks inside each other, and of operators in one expression.
inline constexpr int kMaxNesting = 200;
inline constexpr int kMaxHeight = 250;

// Errors: TPL-syntax, TPL-unsupported, TPL-limit, with the line.
Result<Template> ParseTemplate(std::string_view source);

}  // namespace slim::tmpl
