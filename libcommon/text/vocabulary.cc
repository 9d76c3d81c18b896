#include "text/vocabulary.h"

#include <fmt/format.h>

#include <string>

#include "base/text.h"
#include "json/json.h"

namespace slim {
namespace {

Result<int32_t> ReadId(const Json::Member& member) {
  const std::optional<int64_t> id = member.second.AsInteger();
  if (!id || *id < 0 || *id > kMaxTokenId) {
    return InputError("TOK-id-range",
                      fmt::format("the id of token {} must be an integer from 0 to {}",
                                  Quote(member.first), kMaxTokenId));
  }
  return static_cast<int32_t>(*id);
}

}  // namespace

Result<Vocabulary> Vocabulary::FromJson(const Json& json) {
  if (!json.is_object()) {
    return InputError("TOK-field",
                      fmt::format("model: \"vocab\" must be an object, it is {}", json.KindName()));
  }
  size_t bytes = 0;
  int32_t largest = -1;
  for (const Json::Member& member : json.members()) {
    SLIM_ASSIGN(const int32_t id, ReadId(member));
    largest = std::max(largest, id);
    bytes += member.first.size();
  }
  Vocabulary vocabulary;
  vocabulary.storage_.reserve(bytes + 1);  // never grows again: the views stay valid
  vocabulary.texts_.resize(static_cast<size_t>(largest + 1));
  vocabulary.ids_.reserve(json.members().size());
  for (const Json::Member& member : json.members()) {
    SLIM_ASSIGN(const int32_t id, ReadId(member));
    std::string_view& text = vocabulary.texts_[static_cast<size_t>(id)];
    if (text.data() != nullptr) {
      return InputError("TOK-id-duplicate", fmt::format("tokens {} and {} both have id {}",
                                                        Quote(text), Quote(member.first), id));
    }
    const size_t offset = vocabulary.storage_.size();
    vocabulary.storage_.insert(vocabulary.storage_.end(), member.first.begin(), member.first.end());
    text = std::string_view(vocabulary.storage_.data() + offset, member.first.size());
    vocabulary.ids_.emplace(text, id);
  }
  return vocabulary;
}

std::optional<int32_t> Vocabulary::Find(std::string_view token) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string_view> Vocabulary::Text(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= texts_.size()) return std::nullopt;
  const std::string_view text = texts_[static_cast<size_t>(id)];
  if (text.data() == nullptr) return std::nullopt;
  return text;
}

}  // namespace slim
