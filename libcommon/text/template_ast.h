// The program of a template as a tree: what the parser builds and the evaluator walks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/template_value.h"

namespace slim::tmpl {

enum class ExprKind : uint8_t {
  kConstant,     // constant
  kName,         // name
  kList,         // children
  kTuple,        // children
  kDict,         // children: key, value, key, value, …
  kNot,          // [operand]
  kNegative,     // [operand]
  kPositive,     // [operand]
  kAnd,          // [left, right]
  kOr,           // [left, right]
  kArithmetic,   // [left, right], name is the operator
  kConcat,       // children
  kCompare,      // children; operators[i] stands between i and i + 1
  kConditional,  // [condition, then, else or null]
  kAttribute,    // [object], name
  kItem,         // [object, key]
  kSlice,        // [object, start, stop, step], the last three may be null
  kCall,         // [callee], arguments
  kFilter,       // [value, or null for the body of a block], name, arguments
  kTest          // [value], name, arguments
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct CallArguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> keyword;
  ExprPtr spread;          // *list
  ExprPtr keyword_spread;  // **dict
};

struct Expr {
  ExprKind kind = ExprKind::kConstant;
  int line = 1;
  int height = 1;  // levels of expressions from here down
  std::string name;
  Value constant;
  std::vector<ExprPtr> children;
  std::vector<std::string> operators;
  CallArguments arguments;
};

// What `set`, `for` and `with` assign to: a name, an attribute of a namespace (attribute not
// empty), or a tuple.
struct Target {
  std::string name;
  std::string attribute;
  std::vector<Target> parts;
  bool is_tuple = false;
  int line = 1;
};

struct Parameter {
  std::string name;
  ExprPtr otherwise;  // null: none
};

enum class StmtKind : uint8_t {
  kData,         // text
  kPrint,        // expressions[0]
  kIf,           // branches
  kFor,          // targets[0] in expressions[0], filter expressions[1] or null; body, otherwise
  kSet,          // targets[0] = expressions[0]
  kSetBlock,     // targets[0] = body through expressions[0], a filter chain or null
  kMacro,        // text is the name; parameters, body
  kCallBlock,    // expressions[0] is the call; parameters, body
  kFilterBlock,  // body through expressions[0]
  kWith,         // targets[i] = expressions[i]; body
  kGeneration,   // body, as a macro that is called at once
  kBreak,
  kContinue
};

struct Stmt;
using StmtPtr = std::unique_ptr<Stmt>;
using Body = std::vector<StmtPtr>;

struct Branch {
  ExprPtr condition;  // null: else
  Body body;
};

struct Stmt {
  StmtKind kind = StmtKind::kData;
  int line = 1;
  std::string text;
  std::vector<ExprPtr> expressions;
  std::vector<Target> targets;
  std::vector<Parameter> parameters;
  std::vector<Branch> branches;
  Body body;
  Body otherwise;
  // Macros and call blocks: does the body read these special names?
  bool reads_caller = false;
  bool reads_varargs = false;
  bool reads_kwargs = false;
};

struct Template {
  Body body;
};

}  // namespace slim::tmpl
