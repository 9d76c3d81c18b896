// Where a checkpoint keeps its chat template: FindChatTemplate of chat_template.h.
#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "text/chat_template.h"

namespace slim {
namespace {

constexpr std::array<std::string_view, 7> kSpecialTokens = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

Result<Json> ParseObject(std::string_view text, std::string_view file) {
  if (text.empty()) return Json::Object();
  auto json = ParseJson(text);
  if (!json.ok()) return std::move(json).error().WithPath(file);
  if (!json->is_object()) {
    return InputError("TPL-context", fmt::format("must be an object, not {}", json->KindName()))
        .WithPath(file);
  }
  return json;
}

// A string, or an object with `content`; empty for null, which is no token.
Result<std::string> TokenText(std::string_view name, const Json& token) {
  const Json* content = token.is_object() ? token.Find("content") : &token;
  if (token.is_null()) return std::string();
  if (content == nullptr || !content->is_string()) {
    return InputError(
        "TPL-context",
        fmt::format("{} must be a string or an object with a string 'content'", name));
  }
  return content->text();
}

Status AddTokens(const Json& file, std::string_view name, Json& variables) {
  for (const std::string_view token : kSpecialTokens) {
    const Json* member = file.Find(token);
    if (member == nullptr || variables.Find(token) != nullptr) continue;
    auto text = TokenText(token, *member);
    if (!text.ok()) return std::move(text).error().WithPath(name);
    if (!text->empty()) variables.Set(token, *text);
  }
  return {};
}

Error BadTemplate(std::string message) {
  return InputError("TPL-missing", std::move(message)).WithPath("tokenizer_config.json");
}

// chat_template as a list of {name, template}: the one named default.
Result<std::string> DefaultTemplate(const Json& list) {
  std::vector<std::string> names;
  for (const Json& entry : list.items()) {
    const Json* name = entry.Find("name");
    const Json* source = entry.Find("template");
    if (name == nullptr || !name->is_string() || source == nullptr || !source->is_string()) {
      return BadTemplate("an entry of chat_template lacks its name or template");
    }
    if (name->text() == "default") return source->text();
    names.push_back(Quote(name->text()));
  }
  return BadTemplate("no chat template is named 'default'; there are: " + Join(names, ", "));
}

Result<std::string> TemplateOf(const Json& config) {
  const Json* member = config.Find("chat_template");
  if (member == nullptr || member->is_null()) {
    return InputError(
        "TPL-missing", "the checkpoint has no chat template",
        "chat_template.jinja or the member chat_template of tokenizer_config.json holds it");
  }
  if (member->is_string()) return member->text();
  if (member->is_array()) return DefaultTemplate(*member);
  return BadTemplate(
      fmt::format("chat_template must be a string or a list, not {}", member->KindName()));
}

}  // namespace

Result<ChatTemplateSource> FindChatTemplate(std::string_view tokenizer_config,
                                            std::string_view chat_template_jinja,
                                            std::string_view special_tokens_map) {
  SLIM_ASSIGN(const Json config, ParseObject(tokenizer_config, "tokenizer_config.json"));
  SLIM_ASSIGN(const Json map, ParseObject(special_tokens_map, "special_tokens_map.json"));
  ChatTemplateSource found;
  found.variables = Json::Object();
  SLIM_TRY(AddTokens(config, "tokenizer_config.json", found.variables));
  SLIM_TRY(AddTokens(map, "special_tokens_map.json", found.variables));
  if (!chat_template_jinja.empty()) {
    found.source = chat_template_jinja;
    return found;
  }
  SLIM_ASSIGN(found.source, TemplateOf(config));
  return found;
}

}  // namespace slim
