// Cuts the text of a template into tokens, with Jinja's white space rules as transformers sets
// them: trim_blocks, lstrip_blocks, one trailing newline dropped, CR and CRLF read as LF.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim::tmpl {

enum class TokenKind : uint8_t {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  int line = 1;
  std::string text;  // data, a name, the characters of a string after escapes, the spelling of a
                     // number or operator

  bool IsName(std::string_view name) const { return kind == TokenKind::kName && text == name; }
  bool IsOperator(std::string_view name) const {
    return kind == TokenKind::kOperator && text == name;
  }
  // For messages: "'x'", "end of the tag", "end of the template".
  std::string Describe() const;
};

// Ends with a kEnd token. Errors: TPL-syntax with the line.
Result<std::vector<Token>> Tokenize(std::string_view source);

}  // namespace slim::tmpl
