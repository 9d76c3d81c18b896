// The tokenizer inside a GGUF file as Hugging Face's side files, and back. Where the file carries
// the whole tokenizer.json (tokenizer.huggingface.json) nothing is rebuilt; else byte-level BPE of
// the pre-tokenizers below and SentencePiece BPE are. What cannot be rebuilt is named in a note,
// and is no error: the weights do not depend on it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/dialects/gguf_config.h"
#include "checkpoint/gguf_header.h"
#include "json/json.h"

namespace slim {

// tokenizer.json and tokenizer_config.json, as far as the metadata tells.
std::vector<MadeFile> TokenizerOfGguf(const GgufHeader& header, std::vector<std::string>& notes);

struct TokenizerSource {
  std::string tokenizer_json;  // texts of the side files; empty: there is none
  std::string tokenizer_config;
  std::string chat_template;     // chat_template.jinja
  const Json* config = nullptr;  // config.json: token ids and vocab_size
};
// tokenizer.ggml.… and tokenizer.chat_template, the whole tokenizer.json beside them.
GgufMetadata GgufOfTokenizer(const TokenizerSource& source, std::vector<std::string>& notes);

}  // namespace slim
