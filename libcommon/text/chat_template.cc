#include "text/chat_template.h"

#include <fmt/format.h>

#include "base/text.h"
#include "text/template_eval.h"
#include "text/template_parser.h"
#include "text/template_value.h"

namespace slim {
namespace {

std::tm LocalTime() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

}  // namespace

ChatTemplate::ChatTemplate(std::shared_ptr<const tmpl::Template> program)
    : program_(std::move(program)) {}

Result<ChatTemplate> ChatTemplate::Compile(std::string_view source) {
  SLIM_ASSIGN(tmpl::Template program, tmpl::ParseTemplate(source));
  return ChatTemplate(std::make_shared<const tmpl::Template>(std::move(program)));
}

Result<std::string> ChatTemplate::Render(const Json& context, const TemplateLimits& limits,
                                         const TemplateClock& clock) const {
  if (!context.is_object()) {
    return InputError(
        "TPL-context",
        fmt::format("the context of a template must be an object, not {}", context.KindName()));
  }
  tmpl::Budget budget(limits.max_steps, limits.max_output_bytes, limits.max_depth);
  SLIM_ASSIGN(const tmpl::Value variables, tmpl::FromJson(context));
  SLIM_TRY(budget.Depth(variables.depth()));
  tmpl::Runtime runtime{budget, clock ? clock : TemplateClock(LocalTime)};
  return tmpl::Evaluator(*program_, variables, runtime).Run();
}

}  // namespace slim
