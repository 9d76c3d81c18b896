#include "text/sentencepiece_proto.h"

#include <cstring>

#include "base/text.h"

namespace slim {
namespace {

// The fields of one protobuf message, one after the other.
class FieldReader {
 public:
  // `start` is where the message begins in the file.
  FieldReader(std::string_view bytes, uint64_t start) : bytes_(bytes), start_(start) {}

  bool AtEnd() const { return at_ == bytes_.size(); }

  // Reads a key and its value: number() and one of value(), content().
  Status Next() {
    SLIM_ASSIGN(const uint64_t key, Varint());
    number_ = key >> 3;
    value_ = 0;
    content_ = {};
    switch (key & 7) {
      case 0: {
        SLIM_ASSIGN(value_, Varint());
        return {};
      }
      case 1:
        return Fixed(8);
      case 2: {
        SLIM_ASSIGN(const uint64_t size, Varint());
        return Fixed(size);
      }
      case 5:
        return Fixed(4);
      default:
        return BadSentencePieceFormat(offset());
    }
  }

  uint64_t number() const { return number_; }
  uint64_t value() const { return value_; }
  std::string_view content() const { return content_; }
  // Of content() in the file.
  uint64_t content_offset() const { return offset() - content_.size(); }

 private:
  uint64_t offset() const { return start_ + at_; }

  Result<uint64_t> Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) return BadSentencePieceFormat(offset());
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return value;
    }
    return BadSentencePieceFormat(offset());
  }

  Status Fixed(uint64_t size) {
    if (size > bytes_.size() - at_) return BadSentencePieceFormat(offset());
    content_ = bytes_.substr(at_, size);
    at_ += size;
    return {};
  }

  std::string_view bytes_;
  uint64_t start_;
  uint64_t at_ = 0;
  uint64_t number_ = 0;
  uint64_t value_ = 0;
  std::string_view content_;
};

Result<SentencePiece> ReadPiece(std::string_view bytes, uint64_t start) {
  SentencePiece piece;
  FieldReader fields(bytes, start);
  while (!fields.AtEnd()) {
    SLIM_TRY(fields.Next());
    if (fields.number() == 1) piece.text = fields.content();
    if (fields.number() == 2 && fields.content().size() == sizeof(float))
      std::memcpy(&piece.score, fields.content().data(), sizeof(float));
    if (fields.number() == 3) piece.type = static_cast<SentencePieceType>(fields.value());
  }
  if (!IsUtf8(piece.text)) return BadSentencePieceFormat(start);
  return piece;
}

Status ReadTrainer(std::string_view bytes, uint64_t start, SentencePieceProto& model) {
  FieldReader fields(bytes, start);
  while (!fields.AtEnd()) {
    SLIM_TRY(fields.Next());
    if (fields.number() == 3)
      model.model_type = static_cast<SentencePieceModelType>(fields.value());
    if (fields.number() == 24) model.whitespace_as_suffix = fields.value() != 0;
    if (fields.number() == 35) model.byte_fallback = fields.value() != 0;
  }
  return {};
}

Status ReadNormalizer(std::string_view bytes, uint64_t start, SentencePieceProto& model) {
  FieldReader fields(bytes, start);
  while (!fields.AtEnd()) {
    SLIM_TRY(fields.Next());
    if (fields.number() == 2) model.charsmap = fields.content();
    if (fields.number() == 3) model.add_dummy_prefix = fields.value() != 0;
    if (fields.number() == 4) model.remove_extra_whitespaces = fields.value() != 0;
    if (fields.number() == 5) model.escape_whitespaces = fields.value() != 0;
  }
  return {};
}

}  // namespace

Error BadSentencePieceFormat(uint64_t offset) {
  Error error = InputError("SPM-format", "is no model of sentencepiece");
  error.offset = offset;
  return error;
}

Result<SentencePieceProto> ReadSentencePieceProto(std::string_view bytes) {
  SentencePieceProto model;
  FieldReader fields(bytes, 0);
  while (!fields.AtEnd()) {
    SLIM_TRY(fields.Next());
    const std::string_view content = fields.content();
    if (fields.number() == 1) {
      SLIM_ASSIGN(const SentencePiece piece, ReadPiece(content, fields.content_offset()));
      model.pieces.push_back(piece);
    } else if (fields.number() == 2) {
      SLIM_TRY(ReadTrainer(content, fields.content_offset(), model));
    } else if (fields.number() == 3) {
      SLIM_TRY(ReadNormalizer(content, fields.content_offset(), model));
    }
  }
  if (model.pieces.empty()) return BadSentencePieceFormat(0);
  return model;
}

}  // namespace slim
