// The protobuf of tokenizer.model (sentencepiece_model.proto): pieces and what of trainer_spec and
// normalizer_spec changes the ids of a text. Owns the reading; judges nothing.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim {

enum class SentencePieceType : uint64_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

struct SentencePiece {
  std::string_view text;
  float score = 0;
  SentencePieceType type = SentencePieceType::kNormal;
};

enum class SentencePieceModelType : uint64_t { kUnigram = 1, kBpe = 2, kWord = 3, kCharacter = 4 };

// Views into the bytes that it was read from; a piece's id is its position.
struct SentencePieceProto {
  std::vector<SentencePiece> pieces;
  SentencePieceModelType model_type = SentencePieceModelType::kUnigram;
  bool byte_fallback = false;
  bool whitespace_as_suffix = false;
  std::string_view charsmap;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

// Error: SPM-format, with the byte.
Result<SentencePieceProto> ReadSentencePieceProto(std::string_view bytes);

Error BadSentencePieceFormat(uint64_t offset);

// U+2581, which sentencepiece writes for a space.
inline constexpr std::string_view kSentencePieceSpace = "\xE2\x96\x81";

}  // namespace slim
