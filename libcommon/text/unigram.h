// The unigram language model of sentencepiece (Kudo, "Subword Regularization", 2018): the pieces
// of a normalized text whose scores have the largest sum, as sentencepiece's own encoder finds them
// (Viterbi over characters, scores summed in float). Refuses no text.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/sentencepiece_proto.h"

namespace slim {

class UnigramModel {
 public:
  // Copies what it needs. Errors: SPM-format without an unknown piece, or where byte fallback lacks
  // a byte.
  static Result<UnigramModel> FromProto(const SentencePieceProto& proto);

  // Appends the ids of `text` (valid UTF-8, normalized). Characters of no piece are their bytes
  // under byte fallback, else one unknown piece a run.
  void Encode(std::string_view text, std::vector<int32_t>& ids) const;

 private:
  struct Entry {
    std::string text;
    int32_t id;
    float score;
    bool user_defined;
  };
  // The best way to a place in the text: its last piece, where that begins (-1: none yet), and the
  // score of the whole way.
  struct Way {
    int32_t id = -1;
    int64_t begin = -1;
    float score = 0;
  };
  // Of user-defined pieces it is always the best.
  double ScoreOf(const Entry& entry) const;
  // Offers every piece that begins at `begin`; whether one is the `width` bytes of one character.
  bool OfferPieces(std::string_view text, size_t begin, size_t width, std::vector<Way>& ways) const;
  void Append(std::string_view text, const Way& way, bool after_unknown,
              std::vector<int32_t>& ids) const;

  std::vector<Entry> entries_;         // in order of bytes
  std::array<uint32_t, 257> first_{};  // entries that begin with byte b: first_[b] … first_[b + 1]
  std::array<int32_t, 256> bytes_{};   // ids of the byte pieces
  bool byte_fallback_ = false;
  int32_t unknown_ = 0;
  float lowest_ = 0;  // scores of normal pieces
  float highest_ = 0;
};

}  // namespace slim
