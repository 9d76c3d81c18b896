#include "text/tokenizer_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "base/text.h"
#include "json/json.h"

namespace slim {
namespace {

constexpr std::array<std::string_view, 7> kNamed = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
constexpr std::array<std::string_view, 2> kLists = {"additional_special_tokens",
                                                    "extra_special_tokens"};

Error Bad(std::string_view field, std::string_view wanted) {
  return InputError("TOK-field", fmt::format("tokenizer_config: \"{}\" must be {}", field, wanted));
}

Result<std::optional<bool>> ReadBool(const Json& json, std::string_view field) {
  const Json* value = json.Find(field);
  if (value == nullptr || value->is_null()) return std::optional<bool>();
  if (!value->AsBool()) return Bad(field, "true or false");
  return value->AsBool();
}

Status ReadAdded(const Json& json, std::vector<AddedToken>& added) {
  const Json* table = json.Find("added_tokens_decoder");
  if (table == nullptr || table->is_null()) return {};
  if (!table->is_object()) return Bad("added_tokens_decoder", "an object");
  std::vector<std::pair<int32_t, AddedToken>> tokens;
  for (const Json::Member& member : table->members()) {
    const std::string& key = member.first;
    int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0) {
      return InputError("TOK-id-range", "tokenizer_config: added_tokens_decoder has the key " +
                                            Quote(key) + ", which is no token id");
    }
    SLIM_ASSIGN(AddedToken token, AddedToken::FromJson(member.second));
    tokens.emplace_back(id, std::move(token));
  }
  std::sort(tokens.begin(), tokens.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [id, token] : tokens) added.push_back(std::move(token));
  return {};
}

// A named token is its content, or an object with flags. A bare content that added_tokens_decoder
// describes has the flags found there.
Result<TokenizerConfig::Named> ReadNamed(const Json& value, std::string_view field,
                                         const std::vector<AddedToken>& added) {
  if (value.is_object()) {
    SLIM_ASSIGN(AddedToken token, AddedToken::FromJson(value));
    token.special = true;
    return TokenizerConfig::Named{std::move(token), true};
  }
  if (!value.is_string()) return Bad(field, "a string or an object with \"content\"");
  const auto known = std::find_if(added.begin(), added.end(), [&](const AddedToken& token) {
    return token.content == value.text();
  });
  AddedToken token;
  if (known != added.end()) token = *known;
  token.content = value.text();
  token.special = true;
  return TokenizerConfig::Named{std::move(token), known != added.end()};
}

Status ReadLists(const Json& json, TokenizerConfig& config) {
  for (const std::string_view field : kLists) {
    const Json* list = json.Find(field);
    if (list == nullptr || list->is_null()) continue;
    if (!list->is_array() && !list->is_object()) return Bad(field, "an array or an object");
    for (const Json& item : list->items()) {
      SLIM_ASSIGN(auto named, ReadNamed(item, field, config.added));
      config.named.push_back(std::move(named));
    }
    for (const Json::Member& member : list->members()) {  // {"image_token": "<image>"}
      SLIM_ASSIGN(auto named, ReadNamed(member.second, field, config.added));
      config.named.push_back(std::move(named));
    }
  }
  return {};
}

}  // namespace

Result<TokenizerConfig> TokenizerConfig::Parse(std::string_view text) {
  TokenizerConfig config;
  if (text.empty()) return config;
  SLIM_ASSIGN(const Json json, ParseJson(text));
  if (!json.is_object()) {
    return InputError("TOK-field", "tokenizer_config must be an object");
  }
  SLIM_TRY(ReadAdded(json, config.added));
  for (const std::string_view field : kNamed) {
    const Json* value = json.Find(field);
    if (value == nullptr || value->is_null()) continue;
    SLIM_ASSIGN(auto named, ReadNamed(*value, field, config.added));
    config.named.push_back(std::move(named));
  }
  SLIM_TRY(ReadLists(json, config));
  SLIM_ASSIGN(const auto split_special_tokens, ReadBool(json, "split_special_tokens"));
  config.split_special_tokens = split_special_tokens.value_or(false);
  SLIM_ASSIGN(const auto clean_up, ReadBool(json, "clean_up_tokenization_spaces"));
  SLIM_ASSIGN(const auto even_bpe,
              ReadBool(json,
                       "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_"
                       "output"));
  config.clean_up = clean_up.value_or(false) && even_bpe.value_or(false);
  return config;
}

}  // namespace slim
