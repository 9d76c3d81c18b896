#include "text/template_eval.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "text/template_ops.h"
#include "text/template_print.h"

namespace slim::tmpl {

const Value* Scope::Find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent.get()) {
    for (const auto& [key, value] : scope->names) {
      if (key == name) return &value;
    }
  }
  return nullptr;
}

void Scope::Set(std::string_view name, Value value) {
  for (auto& [key, old] : names) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  names.emplace_back(std::string(name), std::move(value));
}

Evaluator::Evaluator(const Template& program, const Value& context, Runtime& runtime)
    : program_(program),
      context_(context),
      runtime_(runtime),
      scope_(std::make_shared<Scope>(nullptr)),
      namespace_sink_([this](std::shared_ptr<NamespaceObject> object) {
        namespaces_.push_back(std::move(object));
      }) {}

Evaluator::~Evaluator() {
  changed_.clear();
  for (const auto& object : namespaces_) object->members.clear();
  for (const auto& scope : macro_scopes_) scope->names.clear();
}

Result<std::string> Evaluator::Run() {
  std::string text;
  out_ = &text;
  SLIM_ASSIGN(const Flow flow, Execute(program_.body));
  static_cast<void>(flow);  // the parser lets no break or continue out of a loop
  return text;
}

Error Evaluator::At(int line, Error error) {
  if (!located_) error.message = fmt::format("line {}: {}", line, error.message);
  located_ = true;
  return error;
}

Result<Evaluator::Flow> Evaluator::Execute(const Body& body) {
  for (const StmtPtr& statement : body) {
    SLIM_ASSIGN(const Flow flow, Execute(*statement));
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Result<Evaluator::Flow> Evaluator::Execute(const Stmt& statement) {
  if (auto spent = runtime_.budget.Steps(1); !spent.ok()) {
    return At(statement.line, std::move(spent).error());
  }
  if (nesting_ >= kMaxNodes) {
    return At(statement.line, InputError("TPL-limit", "the template nests too deep"));
  }
  ++nesting_;
  auto flow = Dispatch(statement);
  --nesting_;
  if (!flow.ok()) return At(statement.line, std::move(flow).error());
  return flow;
}

Result<Evaluator::Flow> Evaluator::Dispatch(const Stmt& statement) {
  switch (statement.kind) {
    case StmtKind::kData:
      SLIM_TRY(Write(statement.text));
      return Flow::kNext;
    case StmtKind::kPrint: {
      SLIM_ASSIGN(const Value value, Eval(*statement.expressions[0]));
      SLIM_TRY(Print(value));
      return Flow::kNext;
    }
    case StmtKind::kIf:
      return ExecuteIf(statement);
    case StmtKind::kFor:
      return ExecuteFor(statement);
    case StmtKind::kSet:
      SLIM_TRY(ExecuteSet(statement));
      return Flow::kNext;
    case StmtKind::kSetBlock:
      SLIM_TRY(ExecuteSetBlock(statement));
      return Flow::kNext;
    case StmtKind::kMacro:
      SLIM_TRY(runtime_.budget.Steps(8));  // its scope is kept to the end
      scope_->Set(statement.text, MakeMacro(statement));
      return Flow::kNext;
    case StmtKind::kCallBlock:
      SLIM_TRY(ExecuteCallBlock(statement));
      return Flow::kNext;
    case StmtKind::kFilterBlock:
      SLIM_TRY(ExecuteFilterBlock(statement));
      return Flow::kNext;
    case StmtKind::kWith:
      return ExecuteWith(statement);
    case StmtKind::kGeneration: {
      SLIM_ASSIGN(const Value text, MakeMacro(statement).callable().Call(runtime_, {}));
      SLIM_TRY(Print(text));
      return Flow::kNext;
    }
    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

Result<Evaluator::Flow> Evaluator::ExecuteIf(const Stmt& statement) {
  for (const Branch& branch : statement.branches) {
    if (branch.condition) {
      SLIM_ASSIGN(const Value condition, Eval(*branch.condition));
      if (!Truth(condition)) continue;
    }
    return Execute(branch.body);
  }
  return Flow::kNext;
}

Result<Evaluator::Flow> Evaluator::ExecuteFor(const Stmt& statement) {
  SLIM_ASSIGN(Value source, Eval(*statement.expressions[0]));
  auto loop = std::make_shared<LoopState>(*this, statement, std::move(source), scope_);
  SLIM_TRY(loop->Start());
  const std::shared_ptr<Scope> outer = scope_;
  auto flow = ExecuteIterations(statement, loop);
  scope_ = outer;
  loop->Finish();
  return flow;
}

Result<Evaluator::Flow> Evaluator::ExecuteIterations(const Stmt& statement,
                                                     const std::shared_ptr<LoopState>& loop) {
  const std::shared_ptr<Scope> outer = scope_;
  bool any = false;
  while (true) {
    scope_ = outer;
    SLIM_ASSIGN(const bool more, loop->Next());
    if (!more) break;
    any = true;
    SLIM_TRY(runtime_.budget.Steps(4));
    scope_ = std::make_shared<Scope>(outer);
    scope_->Set("loop", Value::Of(loop, loop->depth()));
    SLIM_TRY(Assign(statement.targets[0], loop->current()));
    SLIM_ASSIGN(const Flow flow, Execute(statement.body));
    if (flow == Flow::kBreak) return Flow::kNext;
  }
  return any ? Flow::kNext : ExecuteInScope(statement.otherwise);
}

Result<Evaluator::Flow> Evaluator::ExecuteInScope(const Body& body) {
  const std::shared_ptr<Scope> outer = scope_;
  scope_ = std::make_shared<Scope>(outer);
  auto flow = Execute(body);
  scope_ = outer;
  return flow;
}

Result<Evaluator::Flow> Evaluator::ExecuteWith(const Stmt& statement) {
  SLIM_ASSIGN(const Values values, EvalAll(statement.expressions));
  const std::shared_ptr<Scope> outer = scope_;
  scope_ = std::make_shared<Scope>(outer);
  for (size_t i = 0; i < values.size(); ++i) {
    SLIM_TRY(Assign(statement.targets[i], values[i]));
  }
  auto flow = Execute(statement.body);
  scope_ = outer;
  return flow;
}

Status Evaluator::ExecuteSet(const Stmt& statement) {
  SLIM_ASSIGN(const Value value, Eval(*statement.expressions[0]));
  return Assign(statement.targets[0], value);
}

Status Evaluator::ExecuteSetBlock(const Stmt& statement) {
  SLIM_ASSIGN(std::string text, Capture(statement.body));
  Value value = Value::String(std::move(text));
  if (statement.expressions[0]) {
    SLIM_ASSIGN(value, Filter(*statement.expressions[0], &value));
  }
  return Assign(statement.targets[0], value);
}

Status Evaluator::ExecuteFilterBlock(const Stmt& statement) {
  SLIM_ASSIGN(std::string text, Capture(statement.body));
  const Value block = Value::String(std::move(text));
  SLIM_ASSIGN(const Value value, Filter(*statement.expressions[0], &block));
  return Print(value);
}

Status Evaluator::ExecuteCallBlock(const Stmt& statement) {
  const Value caller = MakeMacro(statement);
  SLIM_ASSIGN(const Value value, Call(*statement.expressions[0], &caller));
  return Print(value);
}

Result<std::string> Evaluator::Capture(const Body& body) {
  std::string text;
  std::string* outer = std::exchange(out_, &text);
  auto flow = ExecuteInScope(body);
  out_ = outer;
  SLIM_TRY(flow.ok() ? Status() : Status(std::move(flow).error()));
  return text;
}

Status Evaluator::Assign(const Target& target, const Value& value) {
  if (target.is_tuple) {
    SLIM_ASSIGN(const Values parts, Elements(runtime_.budget, value));
    if (parts.size() != target.parts.size()) {
      return ValueError(fmt::format("{} values cannot be assigned to {} names", parts.size(),
                                    target.parts.size()));
    }
    for (size_t i = 0; i < parts.size(); ++i) SLIM_TRY(Assign(target.parts[i], parts[i]));
    return {};
  }
  if (target.attribute.empty()) {
    scope_->Set(target.name, value);
    return {};
  }
  const Value* object = scope_->Find(target.name);
  if (object == nullptr || !object->Is(Kind::kNamespace)) {
    return TypeError(fmt::format("{} is no namespace, so its {} cannot be set", Quote(target.name),
                                 Quote(target.attribute)));
  }
  if (target.attribute.starts_with('_')) {
    return InputError("TPL-sandbox",
                      fmt::format("a namespace may not have a member {}", Quote(target.attribute)));
  }
  object->name_space().Set(target.attribute, value);
  return {};
}

Status Evaluator::Write(std::string_view text) {
  SLIM_TRY(runtime_.budget.Steps(text.size() / 32));
  SLIM_TRY(runtime_.budget.Fits(out_->size() + text.size()));
  *out_ += text;
  return {};
}

Status Evaluator::Print(const Value& value) {
  if (value.Is(Kind::kString)) return Write(value.text());
  SLIM_ASSIGN(const std::string text, Str(runtime_.budget, value));
  return Write(text);
}

// --- macros
// ---------------------------------------------------------------------------------------------------------

MacroObject::MacroObject(Evaluator& evaluator, const Stmt& statement, std::shared_ptr<Scope> scope)
    : evaluator_(evaluator), statement_(statement), scope_(std::move(scope)) {
  name = statement.text;
}

Result<Value> MacroObject::Call(Runtime&, const Arguments& arguments) {
  return evaluator_.CallMacro(*this, arguments);
}

std::optional<std::string> MacroObject::Repr() const {
  return fmt::format("<Macro {}>",
                     statement_.kind == StmtKind::kMacro ? "'" + name + "'" : "anonymous");
}

Value Evaluator::MakeMacro(const Stmt& statement) {
  macro_scopes_.push_back(scope_);
  return Value::Of(std::make_shared<MacroObject>(*this, statement, scope_), 0);
}

Result<Value> Evaluator::CallMacro(const MacroObject& macro, const Arguments& arguments) {
  if (calls_ >= runtime_.budget.max_depth()) {
    return InputError("TPL-limit", fmt::format("macro '{}': more than {} calls inside each other",
                                               macro.name, calls_));
  }
  ++calls_;
  const std::shared_ptr<Scope> outer = scope_;
  std::string text;
  std::string* outer_out = std::exchange(out_, &text);
  scope_ = std::make_shared<Scope>(macro.scope());
  Status status = BindMacro(macro.statement(), arguments);
  if (status.ok()) {
    if (auto flow = Execute(macro.statement().body); !flow.ok()) status = std::move(flow).error();
  }
  out_ = outer_out;
  scope_ = outer;
  --calls_;
  SLIM_TRY(std::move(status));
  return Value::String(std::move(text));
}

Status Evaluator::BindMacro(const Stmt& macro, const Arguments& arguments) {
  const Values& given = arguments.positional;
  for (size_t i = 0; i < macro.parameters.size(); ++i) {
    const Parameter& parameter = macro.parameters[i];
    const auto named =
        std::find_if(arguments.keyword.begin(), arguments.keyword.end(),
                     [&](const auto& argument) { return argument.first == parameter.name; });
    if (i < given.size()) {
      scope_->Set(parameter.name, given[i]);
    } else if (named != arguments.keyword.end()) {
      scope_->Set(parameter.name, named->second);
    } else if (parameter.otherwise) {
      SLIM_ASSIGN(Value value, Eval(*parameter.otherwise));
      scope_->Set(parameter.name, std::move(value));
    } else {
      scope_->Set(parameter.name,
                  Value::Undefined(fmt::format("parameter '{}' was not given", parameter.name)));
    }
  }
  return BindSpecial(macro, arguments);
}

// varargs, kwargs and caller take what no parameter took, when the body reads them.
Status Evaluator::BindSpecial(const Stmt& macro, const Arguments& arguments) {
  const Values& given = arguments.positional;
  const size_t taken = std::min(given.size(), macro.parameters.size());
  const auto is_free = [&](const std::string& name) {
    const auto begin = macro.parameters.begin() + static_cast<std::ptrdiff_t>(taken);
    return std::none_of(begin, macro.parameters.end(),
                        [&](const Parameter& parameter) { return parameter.name == name; });
  };
  Entries rest;
  std::optional<Value> caller;
  for (const auto& [name, value] : arguments.keyword) {
    if (!is_free(name)) continue;
    if (name == "caller" && macro.reads_caller) {
      caller = value;
    } else if (macro.reads_kwargs) {
      rest.emplace_back(Value::String(name), value);
    } else {
      return TypeError(
          fmt::format("macro '{}' takes no argument named {}", macro.text, Quote(name)));
    }
  }
  if (given.size() > taken && !macro.reads_varargs) {
    return TypeError(fmt::format("macro '{}' takes at most {} arguments, {} given", macro.text,
                                 taken, given.size()));
  }
  const bool caller_is_parameter =
      std::any_of(macro.parameters.begin(), macro.parameters.end(),
                  [](const Parameter& parameter) { return parameter.name == "caller"; });
  if (macro.reads_caller && !caller_is_parameter) {
    scope_->Set("caller", caller.value_or(Value::Undefined("no caller: the macro was not called by "
                                                           "a call block")));
  }
  if (macro.reads_kwargs) {
    SLIM_ASSIGN(Value kwargs, MakeDict(runtime_.budget, std::move(rest)));
    scope_->Set("kwargs", std::move(kwargs));
  }
  if (macro.reads_varargs) {
    SLIM_ASSIGN(Value varargs,
                MakeTuple(runtime_.budget,
                          Values(given.begin() + static_cast<std::ptrdiff_t>(taken), given.end())));
    scope_->Set("varargs", std::move(varargs));
  }
  return {};
}

}  // namespace slim::tmpl
