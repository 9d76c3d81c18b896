#include "text/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>

#include "base/text.h"
#include "text/component.h"
#include "text/unicode.h"

namespace slim {

void MergeTable::Reserve(size_t count) {
  const size_t capacity = std::bit_ceil(std::max<size_t>(count * 2, 16));
  slots_.assign(capacity, Slot{});
  shift_ = 64 - std::countr_zero(capacity);
}

void MergeTable::Insert(int32_t left, int32_t right, Merge merge) {
  const uint64_t key = Key(left, right);
  size_t i = Start(key);
  while (slots_[i].key != kFree && slots_[i].key != key) i = (i + 1) & (slots_.size() - 1);
  slots_[i] = {key, merge};
}

const MergeTable::Merge* MergeTable::Find(int32_t left, int32_t right) const {
  const uint64_t key = Key(left, right);
  for (size_t i = Start(key); slots_[i].key != kFree; i = (i + 1) & (slots_.size() - 1)) {
    if (slots_[i].key == key) return &slots_[i].merge;
  }
  return nullptr;
}

BpeModel::Scratch::Scratch() : cache_(size_t{1} << kCacheBits) {}

BpeModel::Scratch::CachedWord& BpeModel::Scratch::SlotOf(std::string_view word) {
  return cache_[std::hash<std::string_view>{}(word) >> (64 - kCacheBits)];
}

Result<BpeModel> BpeModel::FromJson(const Json& json) {
  if (!json.is_object()) {
    return InputError("TOK-field",
                      fmt::format("\"model\" must be an object, it is {}", json.KindName()));
  }
  const Json* type = json.Find("type");
  // Files from before 2020 have no type; only BPE has merges.
  const bool is_bpe = type == nullptr ? json.Find("merges") != nullptr : type->AsString() == "BPE";
  if (!is_bpe) {
    return InputError("TOK-unsupported",
                      fmt::format("model type {} is not supported, only BPE is",
                                  type == nullptr ? "'unnamed'" : Quote(type->text())));
  }
  BpeModel model;
  const Json* vocab = json.Find("vocab");
  const Json* merges = json.Find("merges");
  if (vocab == nullptr) return InputError("TOK-field", "model: \"vocab\" is missing");
  if (merges == nullptr || !merges->is_array()) {
    return InputError("TOK-field", "model: \"merges\" must be an array");
  }
  SLIM_ASSIGN(model.vocabulary_, Vocabulary::FromJson(*vocab));
  SLIM_TRY(model.ReadOptions(json));
  SLIM_TRY(model.ReadMerges(*merges));
  model.IndexCharacters();
  return model;
}

Status BpeModel::ReadOptions(const Json& json) {
  Json typed = Json::Object();  // Component wants a type, which old files lack
  typed.Set("type", "BPE");
  for (const Json::Member& member : json.members()) {
    if (member.first != "vocab" && member.first != "merges") typed.Set(member.first, member.second);
  }
  SLIM_ASSIGN(const Component part, Component::Open(typed, "model"));
  if (const Json* dropout = part.Find("dropout");
      dropout != nullptr && dropout->AsDouble() != 0.0) {
    return InputError("TOK-unsupported",
                      "model BPE: dropout is not supported, ids must not be "
                      "random");
  }
  SLIM_ASSIGN(unk_token_, part.String("unk_token", ""));
  SLIM_ASSIGN(prefix_, part.String("continuing_subword_prefix", ""));
  SLIM_ASSIGN(suffix_, part.String("end_of_word_suffix", ""));
  SLIM_ASSIGN(fuse_unk_, part.Bool("fuse_unk", false));
  SLIM_ASSIGN(byte_fallback_, part.Bool("byte_fallback", false));
  SLIM_ASSIGN(ignore_merges_, part.Bool("ignore_merges", false));
  has_unk_ = part.Find("unk_token") != nullptr;
  if (has_unk_) unk_id_ = vocabulary_.Find(unk_token_);
  return {};
}

Status BpeModel::ReadMerges(const Json& json) {
  merges_.Reserve(json.items().size());
  uint32_t rank = 0;
  for (const Json& item : json.items()) {
    if (item.is_string()) {
      const std::string& text = item.text();
      if (text.starts_with("#version")) continue;
      const size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
        return InputError("TOK-merge", fmt::format("merge {}: {} must be two tokens with one space "
                                                   "between them",
                                                   rank, Quote(text)));
      }
      const std::string_view view = text;
      SLIM_TRY(AddMerge(view.substr(0, space), view.substr(space + 1), rank));
    } else if (item.is_array() && item.items().size() == 2 && item.items()[0].is_string() &&
               item.items()[1].is_string()) {
      SLIM_TRY(AddMerge(item.items()[0].text(), item.items()[1].text(), rank));
    } else {
      return InputError("TOK-merge",
                        fmt::format("merge {} must be \"a b\" or [\"a\", \"b\"]", rank));
    }
    ++rank;
  }
  return {};
}

Status BpeModel::AddMerge(std::string_view left, std::string_view right, uint32_t rank) {
  const std::optional<int32_t> left_id = vocabulary_.Find(left);
  const std::optional<int32_t> right_id = vocabulary_.Find(right);
  std::string joined(left);
  if (right.size() >= prefix_.size()) joined += right.substr(prefix_.size());
  const std::optional<int32_t> id = vocabulary_.Find(joined);
  if (!left_id || !right_id || !id) {
    const std::string_view missing = !left_id ? left : !right_id ? right : joined;
    return InputError("TOK-merge", fmt::format("merge {}: token {} is not in the vocabulary", rank,
                                               Quote(missing)));
  }
  merges_.Insert(*left_id, *right_id, {rank, *id});
  return {};
}

void BpeModel::IndexCharacters() {
  basic_plane_.assign(0x10000, -1);
  for (size_t id = 0; id < vocabulary_.end(); ++id) {
    const auto text = vocabulary_.Text(static_cast<int32_t>(id));
    if (!text || text->empty()) continue;
    const CodePoint point = DecodeAt(*text, 0);
    if (point.bytes == text->size() && point.value < basic_plane_.size()) {
      basic_plane_[point.value] = static_cast<int32_t>(id);
    }
  }
  for (size_t byte = 0; byte < bytes_.size(); ++byte) {
    bytes_[byte] = vocabulary_.Find(fmt::format("<0x{:02X}>", byte));
  }
}

std::optional<int32_t> BpeModel::FindCharacter(std::string_view character, bool first, bool last,
                                               std::string& spelled) const {
  const bool prefixed = !first && !prefix_.empty();
  const bool suffixed = last && !suffix_.empty();
  if (!prefixed && !suffixed) {
    spelled = character;
    const char32_t value = DecodeAt(character, 0).value;
    if (value >= basic_plane_.size()) return vocabulary_.Find(character);
    const int32_t id = basic_plane_[value];
    return id < 0 ? std::nullopt : std::optional<int32_t>(id);
  }
  spelled.clear();
  if (prefixed) spelled += prefix_;
  spelled += character;
  if (suffixed) spelled += suffix_;
  return vocabulary_.Find(spelled);
}

// Fills scratch.symbols_ with the characters of `word`. A pending unk_token is added when the next
// known character comes, so bytes of byte_fallback go before it, as in tokenizers.
Status BpeModel::Cut(std::string_view word, Scratch& scratch) const {
  auto& symbols = scratch.symbols_;
  symbols.clear();
  const auto add = [&symbols](int32_t id) {
    const auto position = static_cast<int32_t>(symbols.size());
    if (position > 0) symbols.back().next = position;
    symbols.push_back({id, position - 1, -1, false});
  };
  int32_t pending = -1;  // the unk_token, when it is due
  for (size_t i = 0; i < word.size();) {
    const size_t length = DecodeAt(word, i).bytes;
    std::string& spelled = scratch.spelled_;
    const auto id =
        FindCharacter(word.substr(i, length), i == 0, i + length == word.size(), spelled);
    i += length;
    if (id) {
      if (pending >= 0) add(pending);
      pending = -1;
      add(*id);
      continue;
    }
    const auto has_token = [this](char c) {
      return bytes_[static_cast<unsigned char>(c)].has_value();
    };
    if (byte_fallback_ && std::all_of(spelled.begin(), spelled.end(), has_token)) {
      for (const char c : spelled) add(*bytes_[static_cast<unsigned char>(c)]);
      continue;
    }
    if (!has_unk_) continue;
    if (!unk_id_) {
      return InputError(
          "TOK-unk", fmt::format("the unk_token {} is not in the vocabulary", Quote(unk_token_)));
    }
    if (pending >= 0 && !fuse_unk_) add(pending);
    pending = *unk_id_;
  }
  if (pending >= 0) add(pending);
  return {};
}

void BpeModel::QueuePair(Scratch& scratch, uint32_t position) const {
  const Scratch::Symbol& left = scratch.symbols_[position];
  const Scratch::Symbol& right = scratch.symbols_[static_cast<size_t>(left.next)];
  if (const MergeTable::Merge* merge = merges_.Find(left.id, right.id); merge != nullptr) {
    scratch.queue_.push_back({merge->rank, position, merge->id});
    std::push_heap(scratch.queue_.begin(), scratch.queue_.end());
  }
}

// Merges the pair of lowest rank, leftmost first, until none is left. Entries of the queue whose
// pair has changed since are skipped.
void BpeModel::MergeAll(Scratch& scratch) const {
  auto& symbols = scratch.symbols_;
  auto& queue = scratch.queue_;
  queue.clear();
  for (uint32_t i = 0; i + 1 < symbols.size(); ++i) QueuePair(scratch, i);
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end());
    const Scratch::Candidate candidate = queue.back();
    queue.pop_back();
    Scratch::Symbol& left = symbols[candidate.position];
    if (left.removed || left.next < 0) continue;
    Scratch::Symbol& right = symbols[static_cast<size_t>(left.next)];
    const MergeTable::Merge* merge = merges_.Find(left.id, right.id);
    if (merge == nullptr || merge->id != candidate.id) continue;
    left.id = candidate.id;
    left.next = right.next;
    right.removed = true;
    if (left.next >= 0) {
      symbols[static_cast<size_t>(left.next)].previous = static_cast<int32_t>(candidate.position);
    }
    if (left.previous >= 0) QueuePair(scratch, static_cast<uint32_t>(left.previous));
    if (left.next >= 0) QueuePair(scratch, candidate.position);
  }
}

Status BpeModel::Encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const auto id = vocabulary_.Find(word); id) {
      ids.push_back(*id);
      return {};
    }
  }
  const bool cached = !word.empty() && word.size() <= Scratch::kMaxCachedBytes;
  Scratch::CachedWord* slot = cached ? &scratch.SlotOf(word) : nullptr;
  if (slot != nullptr && slot->word == word) {
    ids.insert(ids.end(), slot->ids.begin(), slot->ids.end());
    return {};
  }
  SLIM_TRY(Cut(word, scratch));
  MergeAll(scratch);
  const size_t before = ids.size();
  for (const Scratch::Symbol& symbol : scratch.symbols_) {
    if (!symbol.removed) ids.push_back(symbol.id);
  }
  if (slot != nullptr) {
    slot->word = word;
    slot->ids.assign(ids.begin() + static_cast<std::ptrdiff_t>(before), ids.end());
  }
  return {};
}

}  // namespace slim
