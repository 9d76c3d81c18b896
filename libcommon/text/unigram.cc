#include "text/unigram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cfloat>
#include <utility>

#include "text/unicode.h"

namespace slim {
namespace {

// What an unknown character scores below the lowest piece (kUnkPenalty of sentencepiece).
constexpr float kUnknownPenalty = 10.0F;
// What keeps a user-defined piece below two of them.
constexpr double kUserDefinedPenalty = 0.1;

}  // namespace

Result<UnigramModel> UnigramModel::FromProto(const SentencePieceProto& proto) {
  UnigramModel model;
  model.byte_fallback_ = proto.byte_fallback;
  model.lowest_ = FLT_MAX;
  model.highest_ = FLT_MIN;  // as in sentencepiece: scores are logarithms
  model.bytes_.fill(-1);
  std::optional<int32_t> unknown;
  for (size_t i = 0; i < proto.pieces.size(); ++i) {
    const SentencePiece& piece = proto.pieces[i];
    const auto id = static_cast<int32_t>(i);
    if (piece.type == SentencePieceType::kUnknown) unknown = id;
    const bool normal = piece.type == SentencePieceType::kNormal;
    const bool user_defined = piece.type == SentencePieceType::kUserDefined;
    if (normal) {
      model.lowest_ = std::min(model.lowest_, piece.score);
      model.highest_ = std::max(model.highest_, piece.score);
    }
    if ((normal || user_defined) && !piece.text.empty())
      model.entries_.push_back({std::string(piece.text), id, piece.score, user_defined});
  }
  if (!unknown) return InputError("SPM-format", "has no piece for unknown characters");
  model.unknown_ = *unknown;
  std::sort(model.entries_.begin(), model.entries_.end(),
            [](const Entry& a, const Entry& b) { return a.text < b.text; });
  for (const Entry& entry : model.entries_)
    ++model.first_[static_cast<unsigned char>(entry.text[0]) + 1U];
  for (size_t b = 0; b < 256; ++b) model.first_[b + 1] += model.first_[b];
  if (!model.byte_fallback_) return model;
  for (size_t i = 0; i < proto.pieces.size(); ++i) {
    if (proto.pieces[i].type != SentencePieceType::kByte) continue;
    for (size_t byte = 0; byte < 256; ++byte) {
      if (proto.pieces[i].text == fmt::format("<0x{:02X}>", byte))
        model.bytes_[byte] = static_cast<int32_t>(i);
    }
  }
  if (std::ranges::find(model.bytes_, -1) != model.bytes_.end())
    return InputError("SPM-format", "falls back to bytes, and lacks pieces of some");
  return model;
}

double UnigramModel::ScoreOf(const Entry& entry) const {
  if (!entry.user_defined) return entry.score;
  return static_cast<double>(static_cast<float>(entry.text.size()) * highest_) -
         kUserDefinedPenalty;
}

bool UnigramModel::OfferPieces(std::string_view text, size_t begin, size_t width,
                               std::vector<Way>& ways) const {
  const float before = ways[begin].score;
  const auto byte = static_cast<unsigned char>(text[begin]);
  const auto at = [&](uint32_t index) { return entries_.begin() + static_cast<ptrdiff_t>(index); };
  auto low = at(first_[byte]);
  auto high = at(first_[byte + 1U]);
  bool whole_character = false;
  // All entries of low … high begin with the `depth` bytes of the text from `begin` on.
  for (size_t depth = 1; low != high; ++depth) {
    if (low->text.size() == depth) {
      const double score = ScoreOf(*low) + static_cast<double>(before);
      Way& way = ways[begin + depth];
      if (way.begin < 0 || score > static_cast<double>(way.score))
        way = {low->id, static_cast<int64_t>(begin), static_cast<float>(score)};
      whole_character = whole_character || depth == width;
      ++low;
    }
    if (begin + depth == text.size()) break;
    const char next = text[begin + depth];
    const auto below = [&](const Entry& entry, char c) {
      return static_cast<unsigned char>(entry.text[depth]) < static_cast<unsigned char>(c);
    };
    const auto above = [&](char c, const Entry& entry) {
      return static_cast<unsigned char>(c) < static_cast<unsigned char>(entry.text[depth]);
    };
    low = std::lower_bound(low, high, next, below);
    high = std::upper_bound(low, high, next, above);
  }
  return whole_character;
}

void UnigramModel::Append(std::string_view text, const Way& way, bool after_unknown,
                          std::vector<int32_t>& ids) const {
  if (way.id != unknown_) {
    ids.push_back(way.id);
  } else if (byte_fallback_) {
    for (const char c : text) ids.push_back(bytes_[static_cast<unsigned char>(c)]);
  } else if (!after_unknown) {
    ids.push_back(unknown_);
  }
}

void UnigramModel::Encode(std::string_view text, std::vector<int32_t>& ids) const {
  std::vector<Way> ways(text.size() + 1);
  for (size_t begin = 0; begin < text.size();) {
    const size_t width = DecodeAt(text, begin).bytes;
    if (!OfferPieces(text, begin, width, ways)) {
      const float score = (lowest_ - kUnknownPenalty) + ways[begin].score;
      Way& way = ways[begin + width];
      if (way.begin < 0 || score > way.score) way = {unknown_, static_cast<int64_t>(begin), score};
    }
    begin += width;
  }
  std::vector<size_t> ends;
  for (size_t end = text.size(); end > 0; end = static_cast<size_t>(ways[end].begin))
    ends.push_back(end);
  bool after_unknown = false;
  for (size_t i = ends.size(); i-- > 0;) {
    const Way& way = ways[ends[i]];
    const auto begin = static_cast<size_t>(way.begin);
    Append(text.substr(begin, ends[i] - begin), way, after_unknown, ids);
    after_unknown = way.id == unknown_;
  }
}

}  // namespace slim
