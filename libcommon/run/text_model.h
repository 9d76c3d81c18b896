// What turns text into the tokens of a checkpoint and back: its tokenizer, its chat template and
// where generation ends, loaded together from the checkpoint's directory. Holds no weights.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "json/json.h"
#include "model/model_config.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace slim {

struct ChatOptions {
  bool generation_prompt = true;    // the answer's beginning stands at the end
  Json variables = Json::Object();  // more of them for the template: enable_thinking, …
};

class TextModel {
 public:
  // tokenizer.json and, where there are such, tokenizer_config.json, generation_config.json and the
  // chat template. RUN-no-tokenizer names the file that is missing; other errors carry the path of
  // the file they are about.
  static Result<TextModel> Load(const Checkpoint& checkpoint, const ModelConfig& config);

  const Tokenizer& tokenizer() const { return tokenizer_; }
  const GenerationConfig& generation() const { return generation_; }
  // eos_token_id of generation_config.json, else of config.json.
  const std::vector<int32_t>& stop_tokens() const { return stop_tokens_; }

  // Tokens of `text` with the special tokens of the post-processor. `source` names the text in
  // errors. RUN-utf8, RUN-empty-prompt (no token at all), and those of Tokenizer::Encode.
  Result<std::vector<int32_t>> EncodePrompt(std::string_view text, std::string_view source) const;
  // Tokens of a text without special tokens, as for perplexity.
  Result<std::vector<int32_t>> EncodePlain(std::string_view text, std::string_view source) const;

  // The text of a conversation, an array of {"role", "content"}, up to where the answer begins.
  // TPL-missing when the checkpoint has no chat template.
  Result<std::string> ChatText(const Json& messages, const ChatOptions& options = {}) const;
  // Its tokens; the template has put the special ones.
  Result<std::vector<int32_t>> EncodeChat(const Json& messages,
                                          const ChatOptions& options = {}) const;

 private:
  explicit TextModel(Tokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}
  Status LoadChatTemplate(const Checkpoint& checkpoint, std::string_view tokenizer_config);
  Result<std::vector<int32_t>> Encode(std::string_view text, std::string_view source,
                                      bool special) const;

  std::string path_;
  Tokenizer tokenizer_;
  GenerationConfig generation_;
  std::vector<int32_t> stop_tokens_;
  // Compiled when loaded; a template that cannot be is an error only for those who use it.
  std::optional<ChatTemplate> chat_template_;
  Error chat_template_error_;
  Json chat_variables_;
};

}  // namespace slim
