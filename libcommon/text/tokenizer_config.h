// What tokenizer_config.json changes about the ids and texts that transformers gives: tokens that
// tokenizer.json lacks, which tokens are special, and the cleaning of decoded text. Everything else
// there is not ours: the pipeline is tokenizer.json's, whatever "tokenizer_class" says, and
// "add_bos_token" and "add_eos_token" count for nothing beside a tokenizer.json, as in
// transformers 5.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/added_tokens.h"

namespace slim {

struct TokenizerConfig {
  // "added_tokens_decoder", in order of id.
  std::vector<AddedToken> added;
  // bos_token, eos_token, … and extra special tokens: always special, whatever tokenizer.json says.
  // Flags given with the name replace those of tokenizer.json; a bare name has none.
  struct Named {
    AddedToken token;
    bool has_flags;
  };
  std::vector<Named> named;
  // Special tokens in the text of Encode() are ordinary text.
  bool split_special_tokens = false;
  // Joins punctuation to the word before it. transformers 5 ignores clean_up_tokenization_spaces
  // for BPE unless clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output is set.
  bool clean_up = false;

  // `text`: content of tokenizer_config.json, or empty. Errors: JSON-…, TOK-field.
  static Result<TokenizerConfig> Parse(std::string_view text);
};

}  // namespace slim
