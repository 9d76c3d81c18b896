#include "text/added_tokens.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "json/json.h"
#include "text/normalizer.h"
#include "text/unicode.h"

namespace slim {
namespace {

// Bounds the search, which looks at most this far ahead at every place.
constexpr size_t kMaxContentBytes = 4096;

Status ReadFlag(const Json& json, std::string_view field, bool& flag) {
  const Json* value = json.Find(field);
  if (value == nullptr) return {};
  const std::optional<bool> found = value->AsBool();
  if (!found) {
    return InputError("TOK-field", fmt::format("added token: \"{}\" must be true or false", field));
  }
  flag = *found;
  return {};
}

size_t SkipSpacesLeft(std::string_view text, size_t end) {
  while (end > 0) {
    const size_t previous = PreviousBoundary(text, end);
    if (!IsWhiteSpace(DecodeAt(text, previous).value)) break;
    end = previous;
  }
  return end;
}

size_t SkipSpacesRight(std::string_view text, size_t begin) {
  while (begin < text.size()) {
    const CodePoint point = DecodeAt(text, begin);
    if (!IsWhiteSpace(point.value)) break;
    begin += point.bytes;
  }
  return begin;
}

bool StandsAlone(std::string_view text, size_t begin, size_t end) {
  const bool word_left =
      begin > 0 && IsWordCharacter(DecodeAt(text, PreviousBoundary(text, begin)).value);
  const bool word_right = end < text.size() && IsWordCharacter(DecodeAt(text, end).value);
  return !word_left && !word_right;
}

}  // namespace

Result<AddedToken> AddedToken::FromJson(const Json& json) {
  const Json* content = json.Find("content");
  if (content == nullptr || !content->is_string()) {
    return InputError("TOK-field", "an added token must be an object with a string \"content\"");
  }
  AddedToken token;
  token.content = content->text();
  if (token.content.size() > kMaxContentBytes) {
    return InputError("TOK-field", fmt::format("an added token of {} bytes, more than {}",
                                               token.content.size(), kMaxContentBytes));
  }
  SLIM_TRY(ReadFlag(json, "special", token.special));
  token.normalized = !token.special;
  SLIM_TRY(ReadFlag(json, "normalized", token.normalized));
  SLIM_TRY(ReadFlag(json, "single_word", token.single_word));
  SLIM_TRY(ReadFlag(json, "lstrip", token.lstrip));
  SLIM_TRY(ReadFlag(json, "rstrip", token.rstrip));
  return token;
}

Result<int32_t> AddedTokens::IdFor(const AddedToken& token, const Vocabulary& vocabulary) const {
  if (const auto id = Find(token.content); id) return *id;
  if (const auto id = vocabulary.Find(token.content); id) return *id;
  const auto id = static_cast<int32_t>(std::max(end(), vocabulary.count()));
  if (id > kMaxTokenId) {
    return InputError("TOK-id-range", fmt::format("more than {} tokens", kMaxTokenId));
  }
  if (const auto taken = vocabulary.Text(id); taken) {
    return InputError("TOK-id-duplicate",
                      fmt::format("added token {} would get id {}, which {} has: the ids of the "
                                  "vocabulary have gaps",
                                  Quote(token.content), id, Quote(*taken)));
  }
  return id;
}

Status AddedTokens::Add(const AddedToken& token, const Vocabulary& vocabulary) {
  if (token.content.empty()) return {};
  if (token.special) special_.insert(token.content);
  SLIM_ASSIGN(const int32_t id, IdFor(token, vocabulary));
  if (!tokens_.contains(id)) order_.push_back(id);
  ids_[token.content] = id;
  tokens_[id] = token;
  if (token.normalized) spelled_normalized_.insert(id);
  largest_ = std::max(largest_, id);
  return {};
}

Status AddedTokens::BuildSearch(const Normalizer* normalizer) {
  std::stable_partition(order_.begin(), order_.end(),
                        [this](int32_t id) { return IsSpecial(tokens_.at(id).content); });
  std::array<std::vector<std::pair<std::string, int32_t>>, 2> patterns;
  for (const int32_t id : order_) {
    const AddedToken& token = tokens_.at(id);
    std::string spelled = token.content;
    bool at_start = true;
    if (normalizer != nullptr && spelled_normalized_.contains(id)) {
      SLIM_TRY(normalizer->Apply(spelled, at_start));
    }
    const std::string& pattern = token.normalized ? spelled : token.content;
    if (!pattern.empty()) patterns[token.normalized ? 1 : 0].emplace_back(pattern, id);
    texts_[id] = std::move(spelled);
  }
  for (size_t i = 0; i < patterns.size(); ++i) searches_[i].Build(std::move(patterns[i]));
  return {};
}

void AddedTokens::Search::Build(std::vector<std::pair<std::string, int32_t>> unsorted) {
  const auto by_content = [](const auto& a, const auto& b) { return a.first < b.first; };
  const auto same_content = [](const auto& a, const auto& b) { return a.first == b.first; };
  std::stable_sort(unsorted.begin(), unsorted.end(), by_content);
  unsorted.erase(std::unique(unsorted.begin(), unsorted.end(), same_content), unsorted.end());
  entries = std::move(unsorted);
  for (size_t byte = 0, next = 0; byte < 256; ++byte) {
    first[byte] = static_cast<uint32_t>(next);
    while (next < entries.size() && static_cast<unsigned char>(entries[next].first[0]) == byte) {
      ++next;
    }
    first[byte + 1] = static_cast<uint32_t>(next);
  }
}

const std::pair<std::string, int32_t>* AddedTokens::Search::LongestAt(std::string_view text,
                                                                      size_t offset) const {
  const auto lead = static_cast<unsigned char>(text[offset]);
  size_t low = first[lead];
  size_t high = first[lead + 1];
  const std::pair<std::string, int32_t>* longest = nullptr;
  for (size_t depth = 1; low < high; ++depth) {  // entries[low, high) share `depth` bytes with text
    if (entries[low].first.size() == depth) longest = &entries[low++];
    if (offset + depth >= text.size()) break;
    const auto byte = static_cast<unsigned char>(text[offset + depth]);
    const auto at_depth = [depth](const auto& entry) {
      return static_cast<unsigned char>(entry.first[depth]);
    };
    const auto begin = entries.begin();
    const auto from = std::partition_point(begin + static_cast<std::ptrdiff_t>(low),
                                           begin + static_cast<std::ptrdiff_t>(high),
                                           [&](const auto& e) { return at_depth(e) < byte; });
    const auto to = std::partition_point(from, begin + static_cast<std::ptrdiff_t>(high),
                                         [&](const auto& e) { return at_depth(e) <= byte; });
    low = static_cast<size_t>(from - begin);
    high = static_cast<size_t>(to - begin);
  }
  return longest;
}

std::vector<AddedTokens::Segment> AddedTokens::Cut(std::string_view text, bool normalized) const {
  const Search& search = searches_[normalized ? 1 : 0];
  std::vector<Segment> segments;
  size_t covered = 0;
  size_t offset = search.entries.empty() ? text.size() : 0;
  while (offset < text.size()) {
    const auto* entry = search.LongestAt(text, offset);
    if (entry == nullptr) {
      ++offset;
      continue;
    }
    size_t begin = offset;
    size_t end = offset + entry->first.size();
    offset = end;
    const AddedToken& token = tokens_.at(entry->second);
    if (ignore_special_ && IsSpecial(token.content)) continue;
    if (token.single_word && !StandsAlone(text, begin, end)) continue;
    // A match may lie inside the white space that the one before it took: it is kept all the same,
    // unless lstrip leaves nothing of it.
    if (token.lstrip) begin = std::max(SkipSpacesLeft(text, begin), covered);
    if (token.rstrip) end = SkipSpacesRight(text, end);
    if (begin >= end) continue;
    if (covered < begin) segments.push_back({text.substr(covered, begin - covered), std::nullopt});
    segments.push_back({text.substr(begin, end - begin), entry->second});
    covered = end;
  }
  if (covered < text.size()) segments.push_back({text.substr(covered), std::nullopt});
  return segments;
}

std::optional<int32_t> AddedTokens::Find(std::string_view content) const {
  const auto found = ids_.find(std::string(content));
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

const std::string* AddedTokens::Text(int32_t id) const {
  const auto found = texts_.find(id);
  return found == texts_.end() ? nullptr : &found->second;
}

}  // namespace slim
