// The "decoder" of tokenizer.json: raw tokens to text. Owns ByteLevel, ByteFallback, Fuse, Strip,
// Replace, Metaspace, WordPiece, BPEDecoder, CTC and their Sequence; a file without a decoder joins
// tokens with spaces. Refuses unknown types by name.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim {

class Json;

// What a decoder does across tokens, for those who decode a text that still grows.
struct DecoderTraits {
  bool joins_tokens = false;       // its output tokens are not its input tokens any more
  bool joins_byte_tokens = false;  // a run of <0xE4> tokens becomes text when the run ends
  bool looks_ahead = false;        // the last token's text can change when another one follows
  bool searches_text = false;      // looks ahead when tokens were joined before
};

class Decoder {
 public:
  virtual ~Decoder() = default;
  // Rewrites the tokens; the text is their concatenation. Errors: TOK-growth, TOK-regex-limit.
  virtual Status Apply(std::vector<std::string>& tokens) const = 0;
  virtual DecoderTraits traits() const { return {}; }

  // Null for a JSON null. Errors: TOK-field, TOK-unsupported, TOK-regex.
  static Result<std::unique_ptr<Decoder>> FromJson(const Json* json);
};

// The byte of a token spelled <0xHH>.
std::optional<char> ByteOfToken(std::string_view token);

// Removes the spaces that English word-piece text has before punctuation and contractions;
// `of_wordpiece` also joins " do not", as tokenizers' WordPiece and CTC decoders do and
// transformers' clean_up_tokenization does not.
std::string CleanUpSpaces(std::string text, bool of_wordpiece);

}  // namespace slim
