#include "run/text_model.h"

#include <fmt/format.h>

#include <utility>

#include "base/text.h"
#include "os/file.h"

namespace slim {
namespace {

// Empty when the checkpoint has no such file.
Result<std::string> ReadOptional(const Checkpoint& checkpoint, std::string_view name) {
  if (!checkpoint.HasFile(name)) return std::string();
  return checkpoint.ReadSideFile(name);
}

Result<GenerationConfig> LoadGenerationConfig(const Checkpoint& checkpoint) {
  constexpr std::string_view kName = "generation_config.json";
  SLIM_ASSIGN(const std::string text, ReadOptional(checkpoint, kName));
  if (text.empty()) return GenerationConfig{};
  const std::string path = JoinPath(checkpoint.path(), kName);
  auto json = ParseJson(text);
  if (!json.ok()) return std::move(json).error().WithPath(path);
  if (!json->is_object()) {
    return InputError("JSON-type", fmt::format("is a JSON {}, wanted an object", json->KindName()))
        .WithPath(path);
  }
  auto config = ParseGenerationConfig(*json);
  if (!config.ok()) return std::move(config).error().WithPath(path);
  return config;
}

// tokenizer.json, or tokenizer.model where there is nothing else.
Result<Tokenizer> LoadTokenizer(const Checkpoint& checkpoint, std::string_view tokenizer_config) {
  constexpr std::string_view kTokenizer = "tokenizer.json";
  constexpr std::string_view kSentencePiece = "tokenizer.model";
  const bool has_json = checkpoint.HasFile(kTokenizer);
  const bool has_model = !has_json && checkpoint.HasFile(kSentencePiece);
  const std::string path = JoinPath(checkpoint.path(), has_model ? kSentencePiece : kTokenizer);
  if (!has_json && !has_model) {
    const bool file = checkpoint.is_single_file();
    return InputError("RUN-no-tokenizer", "is missing: the text of a prompt cannot become tokens",
                      fmt::format("copy tokenizer.json and tokenizer_config.json of the float "
                                  "model {}",
                                  file ? "beside the file, and give the directory"
                                       : "into the checkpoint's directory"))
        .WithPath(file ? JoinPath(checkpoint.directory(), kTokenizer) : path);
  }
  SLIM_ASSIGN(const std::string content,
              checkpoint.ReadSideFile(has_model ? kSentencePiece : kTokenizer));
  auto tokenizer = has_model ? Tokenizer::FromSentencePiece(content, tokenizer_config)
                             : Tokenizer::FromJson(content, tokenizer_config);
  if (!tokenizer.ok()) return std::move(tokenizer).error().WithPath(path);
  return tokenizer;
}

}  // namespace

Result<TextModel> TextModel::Load(const Checkpoint& checkpoint, const ModelConfig& config) {
  SLIM_ASSIGN(const std::string tokenizer_config,
              ReadOptional(checkpoint, "tokenizer_config.json"));
  SLIM_ASSIGN(Tokenizer tokenizer, LoadTokenizer(checkpoint, tokenizer_config));
  TextModel model(std::move(tokenizer));
  model.path_ = checkpoint.path();
  SLIM_ASSIGN(model.generation_, LoadGenerationConfig(checkpoint));
  const std::vector<int64_t>& ids = model.generation_.eos_token_ids.empty()
                                        ? config.eos_token_ids
                                        : model.generation_.eos_token_ids;
  for (const int64_t id : ids) model.stop_tokens_.push_back(static_cast<int32_t>(id));
  if (auto status = model.LoadChatTemplate(checkpoint, tokenizer_config); !status.ok())
    model.chat_template_error_ = std::move(status).error();
  return model;
}

Status TextModel::LoadChatTemplate(const Checkpoint& checkpoint,
                                   std::string_view tokenizer_config) {
  SLIM_ASSIGN(const std::string jinja, ReadOptional(checkpoint, "chat_template.jinja"));
  SLIM_ASSIGN(const std::string special, ReadOptional(checkpoint, "special_tokens_map.json"));
  SLIM_ASSIGN(ChatTemplateSource source, FindChatTemplate(tokenizer_config, jinja, special));
  chat_variables_ = std::move(source.variables);
  SLIM_ASSIGN(chat_template_, ChatTemplate::Compile(source.source));
  return {};
}

Result<std::vector<int32_t>> TextModel::Encode(std::string_view text, std::string_view source,
                                               bool special) const {
  if (!IsUtf8(text)) {
    return InputError("RUN-utf8", "is not UTF-8 text", "convert it with iconv").WithPath(source);
  }
  auto ids = tokenizer_.Encode(text, special);
  if (!ids.ok()) return std::move(ids).error().WithPath(source);
  return ids;
}

Result<std::vector<int32_t>> TextModel::EncodePrompt(std::string_view text,
                                                     std::string_view source) const {
  SLIM_ASSIGN(std::vector<int32_t> ids, Encode(text, source, true));
  if (ids.empty()) {
    return InputError("RUN-empty-prompt", "has no token: there is nothing to go on from")
        .WithPath(source);
  }
  return ids;
}

Result<std::vector<int32_t>> TextModel::EncodePlain(std::string_view text,
                                                    std::string_view source) const {
  return Encode(text, source, false);
}

Result<std::string> TextModel::ChatText(const Json& messages, const ChatOptions& options) const {
  if (!chat_template_) return Error(chat_template_error_).WithPath(path_);
  Json context = chat_variables_;
  context.Set("messages", messages);
  context.Set("tools", Json());
  context.Set("documents", Json());
  context.Set("add_generation_prompt", options.generation_prompt);
  for (const auto& [name, value] : options.variables.members()) context.Set(name, value);
  auto text = chat_template_->Render(context);
  if (!text.ok()) return std::move(text).error().WithPath(path_);
  return text;
}

Result<std::vector<int32_t>> TextModel::EncodeChat(const Json& messages,
                                                   const ChatOptions& options) const {
  SLIM_ASSIGN(const std::string text, ChatText(messages, options));
  SLIM_ASSIGN(std::vector<int32_t> ids, Encode(text, path_, false));
  if (ids.empty()) {
    return InputError("RUN-empty-prompt", "the chat template made an empty prompt").WithPath(path_);
  }
  return ids;
}

}  // namespace slim
