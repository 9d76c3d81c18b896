// One tokenizer for two checkpoints: comparing logits token by token means nothing unless both mean
// the same by every id.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "model/model_config.h"
#include "run/text_model.h"

namespace slim {

class SharedTokenizer {
 public:
  // The tokenizer of `first`. A second tokenizer.json with other bytes but the same tokens is
  // noted; a second checkpoint without one is a warning. Errors: those of TextModel::Load,
  // DIFF-tokenizer (names the first id that differs).
  static Result<SharedTokenizer> Load(const Checkpoint& first, const ModelConfig& first_config,
                                      const Checkpoint& second, const ModelConfig& second_config,
                                      Listener& listener);

  // Tokens without special ones. DIFF-tokenizer when the two tokenizers cut the text differently;
  // else the errors of TextModel::EncodePlain.
  Result<std::vector<int32_t>> Encode(std::string_view text, std::string_view source) const;
  // Special tokens are left out, and ids of a padded vocabulary that name no token.
  Result<std::string> Decode(std::span<const int32_t> ids) const;
  const std::vector<int32_t>& stop_tokens() const { return first_.stop_tokens(); }

 private:
  explicit SharedTokenizer(TextModel first) : first_(std::move(first)) {}

  TextModel first_;
  std::optional<TextModel> second_;  // where its bytes differ
  std::string first_path_;
  std::string second_path_;
};

}  // namespace slim
