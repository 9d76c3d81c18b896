// The "pre_tokenizer" of tokenizer.json: cuts normalized text into the words that BPE then works
// on. Owns Split, ByteLevel, Metaspace, Digits, Punctuation, Whitespace, WhitespaceSplit,
// CharDelimiterSplit, BertPreTokenizer, FixedLength and their Sequence. Refuses UnicodeScripts and
// unknown types by name.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim {

class Json;

// Words in order. A word is a view into a text given to Pieces(…) or into a buffer that it owns.
class Pieces {
 public:
  struct Piece {
    std::string_view text;
    bool at_start;  // its first character is the first of the whole input
  };

  Pieces(std::string_view text, bool at_start) : items_{{text, at_start}}, size_(text.size()) {}

  const std::vector<Piece>& items() const { return items_; }
  void Replace(std::vector<Piece> items) { items_ = std::move(items); }
  // Keeps `buffer` alive as long as the pieces and returns its text.
  std::string_view Own(std::string buffer) { return owned_.emplace_back(std::move(buffer)); }
  size_t input_size() const { return size_; }

 private:
  std::vector<Piece> items_;
  std::list<std::string> owned_;
  size_t size_;
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  // Cuts every piece further. No piece is ever empty. Errors: TOK-growth, TOK-regex-limit.
  virtual Status Apply(Pieces& pieces) const = 0;

  // Null for a JSON null. Errors: TOK-field, TOK-unsupported, TOK-regex.
  static Result<std::unique_ptr<PreTokenizer>> FromJson(const Json* json);
};

}  // namespace slim
