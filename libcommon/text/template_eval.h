// Walks the tree of a template and writes its text. One Evaluator renders once.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/template_ast.h"
#include "text/template_globals.h"
#include "text/template_value.h"

namespace slim::tmpl {

// Names that a block of the template can see; a name is looked up here, then in the blocks around,
// then in the context.
struct Scope {
  explicit Scope(std::shared_ptr<Scope> around) : parent(std::move(around)) {}
  const Value* Find(std::string_view name) const;
  void Set(std::string_view name, Value value);

  std::vector<std::pair<std::string, Value>> names;
  std::shared_ptr<Scope> parent;
};

class LoopState;
class MacroObject;

class Evaluator {
 public:
  // `context` is a dict with text keys; it, `program` and `runtime` outlive the evaluator.
  Evaluator(const Template& program, const Value& context, Runtime& runtime);
  ~Evaluator();
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  Result<std::string> Run();

 private:
  friend class LoopState;
  friend class MacroObject;

  // Nodes inside each other: a node takes up to 4 KiB of stack, under a sanitizer four times as
  // much.
  static constexpr int kMaxNodes = 400;

  enum class Flow : uint8_t { kNext, kBreak, kContinue };

  // Statements: template_eval.cc.
  Result<Flow> Execute(const Body& body);
  Result<Flow> Execute(const Stmt& statement);
  Result<Flow> Dispatch(const Stmt& statement);
  Result<Flow> ExecuteIf(const Stmt& statement);
  Result<Flow> ExecuteFor(const Stmt& statement);
  Result<Flow> ExecuteIterations(const Stmt& statement, const std::shared_ptr<LoopState>& loop);
  Result<Flow> ExecuteInScope(const Body& body);
  Status ExecuteSet(const Stmt& statement);
  Status ExecuteSetBlock(const Stmt& statement);
  Status ExecuteFilterBlock(const Stmt& statement);
  Status ExecuteCallBlock(const Stmt& statement);
  Result<Flow> ExecuteWith(const Stmt& statement);
  // The text that a body writes, in a scope of its own.
  Result<std::string> Capture(const Body& body);
  Status Assign(const Target& target, const Value& value);
  Status Write(std::string_view text);
  Status Print(const Value& value);
  Value MakeMacro(const Stmt& statement);
  Result<Value> CallMacro(const MacroObject& macro, const Arguments& arguments);
  Status BindMacro(const Stmt& macro, const Arguments& arguments);
  Status BindSpecial(const Stmt& macro, const Arguments& arguments);

  // Expressions: template_eval_expr.cc.
  Result<Value> Eval(const Expr& expr);
  Result<Value> Compute(const Expr& expr);
  Result<Value> Name(const Expr& expr);
  Result<Values> EvalAll(const std::vector<ExprPtr>& expressions);
  Result<Value> DictLiteral(const Expr& expr);
  Result<Value> Compare(const Expr& expr);
  Result<Value> Conditional(const Expr& expr);
  Result<Value> Slice(const Expr& expr);
  Result<Value> Call(const Expr& expr, const Value* caller);
  Result<Value> Filter(const Expr& expr, const Value* block_text);
  Result<Value> Test(const Expr& expr);
  Result<Arguments> EvalArguments(const CallArguments& call);
  Status SpreadKeywords(const Value& dict, Arguments& arguments);
  // `error` with the line, unless an inner node has put its own.
  Error At(int line, Error error);

  const Template& program_;
  const Value& context_;
  Runtime& runtime_;
  std::shared_ptr<Scope> scope_;
  std::string* out_ = nullptr;
  int nesting_ = 0;  // nodes being evaluated inside each other
  int calls_ = 0;    // macros being called inside each other
  bool located_ = false;
  NamespaceSink namespace_sink_;
  // What may be part of a cycle of references, emptied at the end.
  std::vector<std::shared_ptr<NamespaceObject>> namespaces_;
  std::vector<std::shared_ptr<Scope>> macro_scopes_;
  std::vector<std::optional<Value>>
      changed_;  // what loop.changed() saw last, one slot a loop that calls it
};

// A macro, or the body of a call block.
class MacroObject final : public CallableObject {
 public:
  MacroObject(Evaluator& evaluator, const Stmt& statement, std::shared_ptr<Scope> scope);
  Result<Value> Call(Runtime& runtime, const Arguments& arguments) override;
  std::optional<std::string> Repr() const override;

  const Stmt& statement() const { return statement_; }
  const std::shared_ptr<Scope>& scope() const { return scope_; }

 private:
  Evaluator& evaluator_;
  const Stmt& statement_;
  std::shared_ptr<Scope> scope_;
};

// A running for loop, which the template sees as `loop`. Elements are drawn one by one, so that the
// condition of a loop sees what earlier rounds did; loop.last looks one element ahead, loop.length
// draws them all.
class LoopState final : public LoopObject, public std::enable_shared_from_this<LoopState> {
 public:
  LoopState(Evaluator& evaluator, const Stmt& statement, Value source,
            std::shared_ptr<Scope> outer);
  Status Start();
  // Steps to the next element; false at the end.
  Result<bool> Next();
  const Value& current() const { return current_; }
  int depth() const { return source_.depth() + 1; }
  // The loop has ended; what still holds it sees no further elements.
  void Finish();

  Result<Value> Attribute(std::string_view name) override;
  Result<std::string> Repr() override;

 private:
  class Function;
  Result<bool> Draw();  // one more element into ahead_
  Result<bool> Passes(const Value& element);
  Result<int64_t> Length();
  Result<Value> Cycle(const Arguments& arguments) const;
  Result<Value> Changed(const Arguments& arguments);

  Evaluator& evaluator_;
  const Stmt& statement_;
  Value source_;
  Values elements_;  // of a source that is no list, tuple or iterator
  size_t next_ = 0;
  std::shared_ptr<Scope> outer_;
  std::deque<Value> ahead_;
  int64_t index0_ = -1;
  Value previous_;
  Value current_;
  std::optional<size_t> changed_slot_;
};

}  // namespace slim::tmpl
