// Byte-pair encoding of one word (Sennrich et al. 2016) with the options of tokenizers' BPE model:
// unk_token, fuse_unk, byte_fallback, ignore_merges, continuing_subword_prefix, end_of_word_suffix.
// O(n log n) in the length of the word. Refuses dropout and other model types by name.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/vocabulary.h"

namespace slim {

// Pairs of ids to what they merge into: open addressing, fixed after building.
class MergeTable {
 public:
  struct Merge {
    uint32_t rank;
    int32_t id;
  };

  // Room for `count` pairs.
  void Reserve(size_t count);
  // The last of several entries of one pair stands.
  void Insert(int32_t left, int32_t right, Merge merge);
  const Merge* Find(int32_t left, int32_t right) const;

 private:
  struct Slot {
    uint64_t key = kFree;
    Merge merge{};
  };
  static constexpr uint64_t kFree = ~0ULL;
  static uint64_t Key(int32_t left, int32_t right) {
    return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) |
           static_cast<uint32_t>(right);
  }
  size_t Start(uint64_t key) const { return (key * 0x9E3779B97F4A7C15ULL) >> shift_; }

  std::vector<Slot> slots_;
  int shift_ = 63;
};

class BpeModel {
 public:
  // Working memory of one encoding thread, with a cache of recent words. Bounded.
  class Scratch;

  // `json`: the "model" of tokenizer.json. Errors: TOK-…
  static Result<BpeModel> FromJson(const Json& json);

  const Vocabulary& vocabulary() const { return vocabulary_; }

  // Appends the ids of `word` (valid UTF-8). A character without a token is, in this order, its
  // bytes (byte_fallback), unk_token, or nothing. Error: TOK-unk when the vocabulary lacks the
  // unk_token it needs.
  Status Encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const;

 private:
  BpeModel() = default;

  Status ReadOptions(const Json& json);
  Status ReadMerges(const Json& json);
  Status AddMerge(std::string_view left, std::string_view right, uint32_t rank);
  void IndexCharacters();
  std::optional<int32_t> FindCharacter(std::string_view character, bool first, bool last,
                                       std::string& spelled) const;
  Status Cut(std::string_view word, Scratch& scratch) const;
  void MergeAll(Scratch& scratch) const;
  void QueuePair(Scratch& scratch, uint32_t position) const;

  Vocabulary vocabulary_;
  MergeTable merges_;
  std::vector<int32_t> basic_plane_;                 // id of each character below U+10000, or -1
  std::array<std::optional<int32_t>, 256> bytes_{};  // ids of <0x00> … <0xFF>
  std::string unk_token_;
  std::optional<int32_t> unk_id_;
  std::string prefix_;  // continuing_subword_prefix
  std::string suffix_;  // end_of_word_suffix
  bool has_unk_ = false;
  bool fuse_unk_ = false;
  bool byte_fallback_ = false;
  bool ignore_merges_ = false;
};

class BpeModel::Scratch {
 public:
  Scratch();

 private:
  friend class BpeModel;

  struct Symbol {
    int32_t id;
    int32_t previous;  // -1: none
    int32_t next;      // -1: none
    bool removed;
  };
  struct Candidate {
    uint32_t rank;
    uint32_t position;
    int32_t id;  // of the merged token
    // Orders a max-heap so that the lowest rank, then the leftmost, comes out first.
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  struct CachedWord {
    std::string word;
    std::vector<int32_t> ids;
  };
  static constexpr size_t kCacheBits = 14;
  static constexpr size_t kMaxCachedBytes = 64;

  CachedWord& SlotOf(std::string_view word);

  std::vector<Symbol> symbols_;
  std::vector<Candidate> queue_;
  std::string spelled_;
  std::vector<CachedWord> cache_;  // one word a slot; the newest stays
};

}  // namespace slim
