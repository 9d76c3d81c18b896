// The "vocab" of a model: token text to id and back. Refuses ids that are negative, given twice or
// beyond kMaxTokenId.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace slim {

class Json;

// Far above any model's vocabulary; keeps tables indexed by id small.
inline constexpr int32_t kMaxTokenId = (1 << 22) - 1;

class Vocabulary {
 public:
  // `json`: an object of token text to id. Errors: TOK-field, TOK-id-range, TOK-id-duplicate.
  static Result<Vocabulary> FromJson(const Json& json);

  std::optional<int32_t> Find(std::string_view token) const;
  // Empty where no token has this id.
  std::optional<std::string_view> Text(int32_t id) const;
  // Number of tokens, which is less than end() where ids have gaps.
  size_t count() const { return ids_.size(); }
  // Largest id + 1.
  size_t end() const { return texts_.size(); }

 private:
  std::vector<char> storage_;  // the texts; views into it survive a move
  std::vector<std::string_view> texts_;
  std::unordered_map<std::string_view, int32_t> ids_;
};

}  // namespace slim
