// A strict pull scanner for the two JSON documents that reach 100 MB: safetensors headers and shard
// indexes. It never recurses and never builds a tree; the caller asks for what it expects next and
// every error knows its byte offset. Stricter than JSON where the formats are: numbers are unsigned
// integers only.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "base/result.h"

namespace slim {

class JsonScanner {
 public:
  // `text` must outlive the scanner and every string_view it gave. UTF-8 is checked here, at once.
  explicit JsonScanner(std::string_view text);

  // Errors found before the first token: invalid UTF-8.
  Status Start();

  Status BeginObject();
  // Reads the next key and its colon; false at the closing brace.
  Result<bool> NextKey(std::string_view& key);
  Status BeginArray();
  // True when another element follows; false at the closing bracket.
  Result<bool> NextElement();
  Result<std::string_view> String();
  Result<uint64_t> Unsigned();
  // Steps over any value nested at most `max_depth` deep.
  Status SkipValue(int max_depth);
  // Only white space may follow.
  Status End();

  // What comes next: "object", "array", "string", "number", "true", "false", "null", "end of text"
  // or "garbage".
  std::string_view NextKind();
  uint64_t offset() const { return position_; }
  Error Fail(std::string_view rule, std::string message) const;

 private:
  void SkipSpace() {
    while (position_ < text_.size()) {
      const char c = text_[position_];
      if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return;
      ++position_;
    }
  }
  bool Consume(char c) {
    SkipSpace();
    if (position_ >= text_.size() || text_[position_] != c) return false;
    ++position_;
    return true;
  }
  Status DecodeEscape(std::string& out);
  Result<uint32_t> HexDigits();
  Status SkipScalar();

  std::string_view text_;
  size_t position_ = 0;
  bool first_ = true;                // no comma is due before the next member or element
  std::deque<std::string> decoded_;  // strings that had escapes
};

}  // namespace slim
