// The normalization of sentencepiece, over a whole text at once: a table of rewritten characters
// (precompiled_charsmap, e.g. nmt_nfkc), white space collapsed and trimmed, a leading space, and
// U+2581 for spaces. User-defined pieces pass as they are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/sentencepiece_proto.h"

namespace slim {

class SentencePieceNormalizer {
 public:
  // Copies what it needs. Error: SPM-format for a table that is none.
  static Result<SentencePieceNormalizer> FromProto(const SentencePieceProto& proto);

  // `text` is valid UTF-8, and so is the result. Errors: TOK-growth, SPM-format where the table
  // points beyond itself.
  Result<std::string> Apply(std::string_view text) const;

 private:
  // What a prefix of a text becomes, and how long it is.
  struct Rewritten {
    std::string_view text;
    size_t length;
  };
  Result<Rewritten> RewritePrefix(std::string_view text) const;
  size_t UserDefinedPrefix(std::string_view text) const;
  Status ReadCharsmap(std::string_view charsmap);

  std::vector<uint32_t> trie_;             // units of a double array (darts-clone)
  std::string rewritten_;                  // texts that it points to, each with a zero at its end
  std::vector<std::string> user_defined_;  // in order of bytes
  bool add_dummy_prefix_ = true;
  bool remove_extra_whitespaces_ = true;
};

}  // namespace slim
