// Added tokens: names such as <|im_start|> that are found in the text itself, before BPE. Owns
// their ids, flags and the search. Follows tokenizers' AddedVocabulary: the id written in
// tokenizer.json counts for nothing; a token has the id of the vocabulary, or the next free one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/vocabulary.h"

namespace slim {

class Json;
class Normalizer;

struct AddedToken {
  std::string content;
  bool single_word = false;  // matches only where no word character is on either side
  bool lstrip = false;       // takes the white space on its left with it
  bool rstrip = false;
  bool normalized = false;  // its normalized content is looked for in normalized text
  bool special = false;     // left out by skip_special_tokens
  bool operator==(const AddedToken&) const = default;

  // An element of "added_tokens", or a value of "added_tokens_decoder" in tokenizer_config.json.
  // Error: TOK-field.
  static Result<AddedToken> FromJson(const Json& json);
};

class AddedTokens {
 public:
  struct Segment {
    std::string_view text;
    std::optional<int32_t> id;  // of the added token that `text` is; empty for text in between
  };

  // Adds a token, or changes the flags of one that is there. Errors: TOK-id-duplicate when the next
  // free id is taken, TOK-id-range.
  Status Add(const AddedToken& token, const Vocabulary& vocabulary);
  // Makes a token special that is there already, and keeps its flags.
  void MarkSpecial(std::string_view content) { special_.emplace(content); }
  // Special tokens are then not looked for in texts.
  void IgnoreSpecialInText() { ignore_special_ = true; }
  // To be called once after the last Add(). Errors: as Normalizer::Apply.
  Status BuildSearch(const Normalizer* normalizer);

  // Cuts `text` at the tokens that are (not) to be found in normalized text: longest match at the
  // leftmost place.
  std::vector<Segment> Cut(std::string_view text, bool normalized) const;

  std::optional<int32_t> Find(std::string_view content) const;
  // The text that `id` decodes to: its content, normalized for a `normalized` token.
  const std::string* Text(int32_t id) const;
  bool IsSpecial(std::string_view text) const { return special_.contains(std::string(text)); }
  // Largest id of an added token + 1.
  size_t end() const { return static_cast<size_t>(largest_ + 1); }

 private:
  // Contents in order of bytes; those that begin with byte b are first_[b] … first_[b + 1].
  struct Search {
    std::vector<std::pair<std::string, int32_t>> entries;
    std::array<uint32_t, 257> first{};

    void Build(std::vector<std::pair<std::string, int32_t>> unsorted);
    // The longest entry at `offset`, or null.
    const std::pair<std::string, int32_t>* LongestAt(std::string_view text, size_t offset) const;
  };

  Result<int32_t> IdFor(const AddedToken& token, const Vocabulary& vocabulary) const;

  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<int32_t, AddedToken> tokens_;
  std::unordered_map<int32_t, std::string> texts_;
  std::unordered_set<std::string> special_;
  std::unordered_set<int32_t> spelled_normalized_;  // ids that were ever given as `normalized`
  std::vector<int32_t> order_;      // as added: the first of two equal patterns wins, special first
  std::array<Search, 2> searches_;  // by AddedToken::normalized
  int32_t largest_ = -1;
  bool ignore_special_ = false;
};

}  // namespace slim
