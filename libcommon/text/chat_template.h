// Chat templates: the Jinja program a checkpoint carries that turns messages into the text of a
// prompt. Owns our own subset of Jinja2, with the environment that transformers gives it
// (trim_blocks, lstrip_blocks, loop controls, tojson, raise_exception, strftime_now, {% generation
// %}) and Python's rules of printing. The template is a stranger's program: it reads nothing but
// its context and the clock, it changes nothing, and steps, memory, output and depth are bounded.
// What is left out is refused by name when it is reached: inheritance, include, import, recursive
// loops, some filters.
//
// Errors carry rule TPL-… and name the line: syntax, unsupported, undefined, type, value, overflow,
// sandbox, raised (the template called raise_exception), limit, context, missing.
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/json.h"

namespace slim {

namespace tmpl {
struct Template;
}  // namespace tmpl

struct TemplateLimits {
  // A node evaluated is a step, and so is an element or every 64 bytes of text that it makes. Time
  // and memory are bounded by it: a few seconds and some half a gigabyte.
  uint64_t max_steps = 10'000'000;
  uint64_t max_output_bytes = 64ULL << 20;
  int max_depth = 64;  // macro calls inside each other, and levels of nested values
};

// The local time that strftime_now() writes; empty: the system's.
using TemplateClock = std::function<std::tm()>;

class ChatTemplate {
 public:
  // `source` is UTF-8, at most 4 MiB.
  static Result<ChatTemplate> Compile(std::string_view source);

  // `context` is an object: messages, tools, add_generation_prompt, bos_token, eos_token,
  // enable_thinking, … A variable that it lacks is undefined to the template; transformers passes
  // tools and documents as null when there are none.
  Result<std::string> Render(const Json& context, const TemplateLimits& limits = {},
                             const TemplateClock& clock = {}) const;

 private:
  explicit ChatTemplate(std::shared_ptr<const tmpl::Template> program);

  std::shared_ptr<const tmpl::Template> program_;
};

struct ChatTemplateSource {
  std::string source;
  Json variables;  // an object: bos_token, eos_token, unk_token, sep_token, pad_token, cls_token,
                   // mask_token, as strings
};

// The template of a checkpoint from the contents of its files; an absent file is an empty string.
// chat_template.jinja wins over the `chat_template` member of tokenizer_config.json, which is a
// string or a list of {name, template}, of which `default` is meant. A special token is a string or
// an object with `content`; tokenizer_config.json wins over special_tokens_map.json. TPL-missing
// when neither file has a template.
Result<ChatTemplateSource> FindChatTemplate(std::string_view tokenizer_config,
                                            std::string_view chat_template_jinja,
                                            std::string_view special_tokens_map);

}  // namespace slim
