#include "text/sentencepiece_normalizer.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "text/component.h"
#include "text/unicode.h"

namespace slim {
namespace {

// A unit of a double-array trie as darts-clone packs it.
uint32_t Label(uint32_t unit) { return unit & 0x800000FFU; }
bool HasLeaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t Value(uint32_t unit) { return unit & 0x7FFFFFFFU; }
uint64_t Offset(uint32_t unit) { return uint64_t{unit >> 10} << ((unit & 0x200U) >> 6); }

// The value of the longest key that `text` begins with, and its length.
struct TrieMatch {
  uint32_t value;
  size_t length;
};

std::optional<TrieMatch> LongestPrefix(const std::vector<uint32_t>& units, std::string_view text) {
  std::optional<TrieMatch> found;
  if (units.empty()) return found;
  uint64_t position = Offset(units[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    position ^= byte;
    if (position >= units.size() || Label(units[position]) != byte) break;
    const uint32_t unit = units[position];
    position ^= Offset(unit);
    if (HasLeaf(unit) && position < units.size()) found = TrieMatch{Value(units[position]), i + 1};
  }
  return found;
}

uint32_t ReadUint32(std::string_view bytes, size_t offset) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
  return value;
}

Error BadTable() {
  return InputError("SPM-format", "the table of normalization is none of sentencepiece");
}

}  // namespace

Result<SentencePieceNormalizer> SentencePieceNormalizer::FromProto(
    const SentencePieceProto& proto) {
  SentencePieceNormalizer normalizer;
  normalizer.add_dummy_prefix_ = proto.add_dummy_prefix;
  normalizer.remove_extra_whitespaces_ = proto.remove_extra_whitespaces;
  for (const SentencePiece& piece : proto.pieces) {
    if (piece.type == SentencePieceType::kUserDefined && !piece.text.empty())
      normalizer.user_defined_.emplace_back(piece.text);
  }
  std::sort(normalizer.user_defined_.begin(), normalizer.user_defined_.end());
  if (!proto.charsmap.empty()) SLIM_TRY(normalizer.ReadCharsmap(proto.charsmap));
  return normalizer;
}

// The size of the trie in bytes, the trie, the texts; numbers are little-endian.
Status SentencePieceNormalizer::ReadCharsmap(std::string_view charsmap) {
  if (charsmap.size() < sizeof(uint32_t)) return BadTable();
  const uint64_t size = ReadUint32(charsmap, 0);
  charsmap.remove_prefix(sizeof(uint32_t));
  if (size == 0 || size % sizeof(uint32_t) != 0 || size >= charsmap.size()) return BadTable();
  for (uint64_t i = 0; i < size; i += sizeof(uint32_t)) trie_.push_back(ReadUint32(charsmap, i));
  rewritten_ = charsmap.substr(size);
  if (rewritten_.back() != '\0') return BadTable();
  return {};
}

size_t SentencePieceNormalizer::UserDefinedPrefix(std::string_view text) const {
  // Pieces that `text` begins with are not above it; the longest is the last of them.
  auto at = std::upper_bound(user_defined_.begin(), user_defined_.end(), text);
  while (at != user_defined_.begin()) {
    --at;
    if (text.starts_with(*at)) return at->size();
    if (at->empty() || at->front() != text.front()) break;
  }
  return 0;
}

Result<SentencePieceNormalizer::Rewritten> SentencePieceNormalizer::RewritePrefix(
    std::string_view text) const {
  if (const size_t length = UserDefinedPrefix(text); length > 0)
    return Rewritten{text.substr(0, length), length};
  const std::optional<TrieMatch> match = LongestPrefix(trie_, text);
  if (!match) {
    const size_t length = DecodeAt(text, 0).bytes;
    return Rewritten{text.substr(0, length), length};
  }
  if (match->value >= rewritten_.size()) return BadTable();
  return Rewritten{rewritten_.c_str() + match->value, match->length};
}

Result<std::string> SentencePieceNormalizer::Apply(std::string_view text) const {
  const size_t before = text.size();
  while (remove_extra_whitespaces_ && !text.empty()) {
    SLIM_ASSIGN(const Rewritten first, RewritePrefix(text));
    if (first.text != " ") break;
    text.remove_prefix(first.length);
  }
  std::string normalized;
  if (text.empty()) return normalized;
  if (add_dummy_prefix_) normalized = kSentencePieceSpace;
  bool after_space = remove_extra_whitespaces_;
  while (!text.empty()) {
    SLIM_ASSIGN(Rewritten next, RewritePrefix(text));
    text.remove_prefix(next.length);
    while (after_space && next.text.starts_with(' ')) next.text.remove_prefix(1);
    if (!next.text.empty()) {
      for (const char c : next.text) {
        if (c == ' ') {
          normalized += kSentencePieceSpace;
        } else {
          normalized += c;
        }
      }
      after_space = remove_extra_whitespaces_ && next.text.ends_with(' ');
    }
    if (GrewTooMuch(before, normalized.size())) return GrowthError("normalizer of sentencepiece");
  }
  while (remove_extra_whitespaces_ && normalized.ends_with(kSentencePieceSpace))
    normalized.resize(normalized.size() - kSentencePieceSpace.size());
  if (!IsUtf8(normalized)) return BadTable();
  return normalized;
}

}  // namespace slim
