// The "post_processor" of tokenizer.json, for one sequence: puts special tokens around the ids of a
// text. Owns TemplateProcessing ("single"), BertProcessing, RobertaProcessing, ByteLevel (which
// adds nothing) and their Sequence; refuses other types by name and knows no pairs.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace slim {

class Json;

// What stands before and after the text.
struct PostProcessor {
  std::vector<int32_t> before;
  std::vector<int32_t> after;

  void Apply(std::vector<int32_t>& ids) const;

  // Adds nothing for null. Errors: TOK-field, TOK-unsupported, TOK-template.
  static Result<PostProcessor> FromJson(const Json* json);
};

}  // namespace slim
