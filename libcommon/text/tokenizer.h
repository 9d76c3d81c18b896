// Text to token ids and back, as Hugging Face `tokenizers` and transformers do it for a
// checkpoint's tokenizer.json. Owns the whole pipeline: added tokens, normalizer, pre-tokenizer,
// BPE, post-processor, decoder. Refuses by name what it does not do: the models WordPiece, Unigram
// and WordLevel, BPE dropout, the normalizer Precompiled. Files are never opened here. Chat
// templates are another module.
//
// Source of every behaviour: the tokenizers library 0.23 and transformers 5; tests record what they
// return.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace slim {

class TokenizerImpl;

// Immutable after loading; const members may be called from several threads at once. Copies share
// one immutable state.
class Tokenizer {
 public:
  // `tokenizer_json`: content of tokenizer.json; `tokenizer_config`: content of
  // tokenizer_config.json, or empty. Errors: JSON-…, TOK-… (malformed or unsupported); the caller
  // adds the path.
  static Result<Tokenizer> FromJson(std::string_view tokenizer_json,
                                    std::string_view tokenizer_config);

  // `model`: content of tokenizer.model, the file of the sentencepiece library. Errors: SPM-format
  // (no such file, with the byte), SPM-unsupported, JSON-…, TOK-….
  static Result<Tokenizer> FromSentencePiece(std::string_view model,
                                             std::string_view tokenizer_config);

  // Token ids of `text`. `add_special_tokens` applies the post-processor (e.g. puts <s> in front).
  // Names of added tokens inside `text` become their ids; characters without a token vanish when
  // the model has neither byte_fallback nor unk_token; both as in transformers. Errors: TOK-utf8
  // when `text` is not UTF-8, TOK-too-long above 256 MiB, TOK-unk, TOK-regex-limit, TOK-growth.
  Result<std::vector<int32_t>> Encode(std::string_view text, bool add_special_tokens) const;

  // Text of `ids`; bytes that form no UTF-8 become U+FFFD. Error: TOK-id when an id names no token.
  Result<std::string> Decode(std::span<const int32_t> ids, bool skip_special_tokens) const;

  // The id of a token by its raw text, e.g. "<s>" or "Ġthe".
  std::optional<int32_t> TokenId(std::string_view token) const;
  // The raw token, e.g. "Ġthe"; empty when there is none.
  std::string TokenText(int32_t id) const;
  // Whether skip_special_tokens leaves it out.
  bool IsSpecial(int32_t id) const;
  // The largest id + 1: how many rows of an embedding the ids can reach. Ids may have gaps.
  size_t size() const;

 private:
  friend class StreamDecoder;
  explicit Tokenizer(std::shared_ptr<const TokenizerImpl> impl) : impl_(std::move(impl)) {}

  std::shared_ptr<const TokenizerImpl> impl_;
};

// Incremental decoding for streaming output. The pieces joined are Decode() of all ids.
class StreamDecoder {
 public:
  StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens);

  // The text that became certain with `id`; never a cut UTF-8 sequence, often empty.
  Result<std::string> Push(int32_t id);
  // The rest; the decoder then starts anew.
  Result<std::string> Finish();

 private:
  Status MoveWindow();

  std::shared_ptr<const TokenizerImpl> impl_;
  bool skip_special_tokens_;
  std::vector<int32_t> ids_;  // ids whose text is not settled, with their left context
  size_t emitted_ = 0;        // bytes of Decode(ids_) already returned
};

}  // namespace slim
