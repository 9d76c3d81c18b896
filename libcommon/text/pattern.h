// What a tokenizer searches for: a literal string or a regular expression. Owns the compiled PCRE2
// code and the limits that keep a hostile expression from running away.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim {

class Json;

struct TextSpan {
  size_t begin;
  size_t end;
};

class Pattern {
 public:
  static Pattern Literal(std::string_view text);
  // `expression` in the syntax of tokenizer.json (Oniguruma). Error: TOK-regex.
  static Result<Pattern> Regex(std::string_view expression);
  // {"String": …} or {"Regex": …}. Errors: TOK-field, TOK-regex.
  static Result<Pattern> FromJson(const Json& json);

  // Replaces `matches` by the matches in `text` (valid UTF-8) from left to right, without overlap.
  // An empty match right after another match is left out. Error: TOK-regex-limit.
  Status FindAll(std::string_view text, std::vector<TextSpan>& matches) const;

 private:
  struct Compiled;
  Status FindRegex(std::string_view text, std::vector<TextSpan>& matches) const;
  void FindLiteral(std::string_view text, std::vector<TextSpan>& matches) const;

  std::string text_;
  std::shared_ptr<const Compiled> regex_;  // null: `text_` is a literal
};

}  // namespace slim
