// The "normalizer" of tokenizer.json: rewrites text before it is cut. Owns NFC, NFD, NFKC, NFKD,
// Lowercase, Strip, StripAccents, Prepend, Replace, ByteLevel and their Sequence. Refuses
// Precompiled, Nmt and BertNormalizer by name.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace slim {

class Json;

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // Rewrites `text` (valid UTF-8 in and out). `at_start`: whether its first character is the first
  // of the whole input; cleared when that character is removed. Errors: TOK-growth,
  // TOK-regex-limit.
  virtual Status Apply(std::string& text, bool& at_start) const = 0;

  // Null for a JSON null. Errors: TOK-field, TOK-unsupported, TOK-regex.
  static Result<std::unique_ptr<Normalizer>> FromJson(const Json* json);
};

}  // namespace slim
