#include "text/sentencepiece_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/text.h"
#include "json/json.h"

namespace slim {
namespace {

// What a piece stands for.
enum class PieceType : uint64_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

struct Piece {
  std::string_view text;
  float score = 0;
  PieceType type = PieceType::kNormal;
};

struct ModelProto {
  std::vector<Piece> pieces;
  uint64_t model_type = 1;  // 1 unigram, 2 BPE, 3 word, 4 character
  bool byte_fallback = false;
  std::string_view charsmap;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
};

Error BadFormat(uint64_t offset) {
  Error error = InputError("SPM-format", "is no model of sentencepiece");
  error.offset = offset;
  return error;
}

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
        return BadFormat(offset());
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
      if (at_ == bytes_.size()) return BadFormat(offset());
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return value;
    }
    return BadFormat(offset());
  }

  Status Fixed(uint64_t size) {
    if (size > bytes_.size() - at_) return BadFormat(offset());
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

Result<Piece> ReadPiece(std::string_view bytes, uint64_t start) {
  Piece piece;
  FieldReader fields(bytes, start);
  while (!fields.AtEnd()) {
    SLIM_TRY(fields.Next());
    if (fields.number() == 1) piece.text = fields.content();
    if (fields.number() == 2 && fields.content().size() == sizeof(float))
      std::memcpy(&piece.score, fields.content().data(), sizeof(float));
    if (fields.number() == 3) piece.type = static_cast<PieceType>(fields.value());
  }
  if (!IsUtf8(piece.text)) return BadFormat(start);
  return piece;
}

Status ReadTrainer(std::string_view bytes, uint64_t start, ModelProto& model) {
  FieldReader fields(bytes, start);
  while (!fields.AtEnd()) {
    SLIM_TRY(fields.Next());
    if (fields.number() == 3) model.model_type = fields.value();
    if (fields.number() == 35) model.byte_fallback = fields.value() != 0;
  }
  return {};
}

Status ReadNormalizer(std::string_view bytes, uint64_t start, ModelProto& model) {
  FieldReader fields(bytes, start);
  while (!fields.AtEnd()) {
    SLIM_TRY(fields.Next());
    if (fields.number() == 2) model.charsmap = fields.content();
    if (fields.number() == 3) model.add_dummy_prefix = fields.value() != 0;
    if (fields.number() == 4) model.remove_extra_whitespaces = fields.value() != 0;
  }
  return {};
}

Result<ModelProto> ReadModel(std::string_view bytes) {
  ModelProto model;
  FieldReader fields(bytes, 0);
  while (!fields.AtEnd()) {
    SLIM_TRY(fields.Next());
    const std::string_view content = fields.content();
    if (fields.number() == 1) {
      SLIM_ASSIGN(const Piece piece, ReadPiece(content, fields.content_offset()));
      model.pieces.push_back(piece);
    } else if (fields.number() == 2) {
      SLIM_TRY(ReadTrainer(content, fields.content_offset(), model));
    } else if (fields.number() == 3) {
      SLIM_TRY(ReadNormalizer(content, fields.content_offset(), model));
    }
  }
  if (model.pieces.empty()) return BadFormat(0);
  return model;
}

Status CheckSupported(const ModelProto& model) {
  const auto refuse = [](std::string_view what) {
    return InputError("SPM-unsupported", fmt::format("has {}, which slim does not read", what),
                      "write tokenizer.json with transformers: "
                      "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)");
  };
  constexpr uint64_t kBpe = 2;
  if (model.model_type != kBpe) return refuse("a model that is not BPE");
  if (!model.byte_fallback) return refuse("no byte fallback");
  if (!model.charsmap.empty()) return refuse("a table of normalization");
  if (model.remove_extra_whitespaces) return refuse("removal of extra white space");
  return {};
}

// Every pair of pieces that make up a piece, by falling score of the piece; pairs of one piece by
// their ids.
Json MergesOf(const ModelProto& model, const std::unordered_map<std::string_view, uint64_t>& ids) {
  std::vector<std::tuple<float, uint64_t, uint64_t>> merges;
  for (const Piece& piece : model.pieces) {
    for (size_t cut = 1; cut < piece.text.size(); ++cut) {
      const auto left = ids.find(piece.text.substr(0, cut));
      const auto right = ids.find(piece.text.substr(cut));
      if (left != ids.end() && right != ids.end())
        merges.emplace_back(-piece.score, left->second, right->second);
    }
  }
  std::stable_sort(merges.begin(), merges.end());
  Json list = Json::Array();
  for (const auto& [score, left, right] : merges) {
    Json pair = Json::Array();
    pair.Push(model.pieces[left].text);
    pair.Push(model.pieces[right].text);
    list.Push(std::move(pair));
  }
  return list;
}

Json Typed(std::string_view type) {
  Json json = Json::Object();
  json.Set("type", type);
  return json;
}

Json Replace(std::string_view from, std::string_view to) {
  Json pattern = Json::Object();
  pattern.Set("String", from);
  Json json = Typed("Replace");
  json.Set("pattern", std::move(pattern));
  json.Set("content", to);
  return json;
}

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581

Json Normalizer(bool dummy_prefix) {
  Json list = Json::Array();
  if (dummy_prefix) {
    Json prepend = Typed("Prepend");
    prepend.Set("prepend", kSpace);
    list.Push(std::move(prepend));
  }
  list.Push(Replace(" ", kSpace));
  Json json = Typed("Sequence");
  json.Set("normalizers", std::move(list));
  return json;
}

Json Decoder(bool dummy_prefix) {
  Json list = Json::Array();
  list.Push(Replace(kSpace, " "));
  list.Push(Typed("ByteFallback"));
  list.Push(Typed("Fuse"));
  if (dummy_prefix) {
    Json strip = Typed("Strip");
    strip.Set("content", " ");
    strip.Set("start", 1);
    strip.Set("stop", 0);
    list.Push(std::move(strip));
  }
  Json json = Typed("Sequence");
  json.Set("decoders", std::move(list));
  return json;
}

Json AddedTokens(const ModelProto& model) {
  Json tokens = Json::Array();
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const Piece& piece = model.pieces[id];
    const bool special = piece.type == PieceType::kControl || piece.type == PieceType::kUnknown;
    if (!special && piece.type != PieceType::kUserDefined) continue;
    Json token = Json::Object();
    token.Set("id", id);
    token.Set("content", piece.text);
    for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized"})
      token.Set(flag, false);
    token.Set("special", special);
    tokens.Push(std::move(token));
  }
  return tokens;
}

Json SpecialItem(std::string_view token) {
  Json inner = Json::Object();
  inner.Set("id", token);
  inner.Set("type_id", 0);
  Json item = Json::Object();
  item.Set("SpecialToken", std::move(inner));
  return item;
}

Json SequenceItem(std::string_view name) {
  Json inner = Json::Object();
  inner.Set("id", name);
  inner.Set("type_id", 0);
  Json item = Json::Object();
  item.Set("Sequence", std::move(inner));
  return item;
}

// `first` and `last` are empty where nothing is added.
Json PostProcessor(const std::unordered_map<std::string_view, uint64_t>& ids,
                   std::string_view first, std::string_view last) {
  Json special = Json::Object();
  const auto with_ends = [&](std::initializer_list<std::string_view> sequences) {
    Json list = Json::Array();
    for (const std::string_view sequence : sequences) {
      if (!first.empty()) list.Push(SpecialItem(first));
      list.Push(SequenceItem(sequence));
      if (!last.empty()) list.Push(SpecialItem(last));
    }
    return list;
  };
  for (const std::string_view token : {first, last}) {
    if (token.empty() || special.Find(token) != nullptr) continue;
    Json entry = Json::Object();
    entry.Set("id", token);
    Json numbers = Json::Array();
    numbers.Push(ids.at(token));
    Json names = Json::Array();
    names.Push(token);
    entry.Set("ids", std::move(numbers));
    entry.Set("tokens", std::move(names));
    special.Set(token, std::move(entry));
  }
  Json json = Typed("TemplateProcessing");
  json.Set("single", with_ends({"A"}));
  json.Set("pair", with_ends({"A", "B"}));
  json.Set("special_tokens", std::move(special));
  return json;
}

// The token that tokenizer_config.json names, where it is a piece; else `fallback`, where it is.
std::string_view EndToken(const Json& config, std::string_view name, std::string_view fallback,
                          const std::unordered_map<std::string_view, uint64_t>& ids) {
  const Json* named = config.Find(name);
  if (named != nullptr && named->is_object()) named = named->Find("content");
  const auto found = ids.find(named != nullptr && named->is_string() ? named->text() : fallback);
  return found == ids.end() ? std::string_view() : found->first;
}

bool Flag(const Json& config, std::string_view name, bool fallback) {
  const Json* value = config.Find(name);
  return value == nullptr ? fallback : value->AsBool().value_or(fallback);
}

}  // namespace

Result<std::string> TokenizerJsonOfSentencePiece(std::string_view model_bytes,
                                                 std::string_view tokenizer_config) {
  SLIM_ASSIGN(const ModelProto model, ReadModel(model_bytes));
  SLIM_TRY(CheckSupported(model));
  Json config = Json::Object();
  if (!tokenizer_config.empty()) {
    SLIM_ASSIGN(config, ParseJson(tokenizer_config));
  }
  std::unordered_map<std::string_view, uint64_t> ids;
  std::string_view unknown;
  std::string vocab_text = "{";
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const Piece& piece = model.pieces[id];
    if (!ids.emplace(piece.text, id).second) return BadFormat(0);
    if (piece.type == PieceType::kUnknown) unknown = piece.text;
    if (id > 0) vocab_text += ',';
    AppendJsonString(vocab_text, piece.text);
    vocab_text += fmt::format(":{}", id);
  }
  vocab_text += '}';
  const std::string_view first =
      Flag(config, "add_bos_token", true) ? EndToken(config, "bos_token", "<s>", ids) : "";
  const std::string_view last =
      Flag(config, "add_eos_token", false) ? EndToken(config, "eos_token", "</s>", ids) : "";
  std::string unknown_text;
  AppendJsonString(unknown_text, unknown);
  // The vocabulary is written by hand: setting members of an object one by one is quadratic.
  return fmt::format(
      R"({{"version":"1.0","truncation":null,"padding":null,"added_tokens":{},"normalizer":{},)"
      R"("pre_tokenizer":null,"post_processor":{},"decoder":{},"model":{{"type":"BPE",)"
      R"("dropout":null,"unk_token":{},"continuing_subword_prefix":null,"end_of_word_suffix":null,)"
      R"("fuse_unk":true,"byte_fallback":true,"ignore_merges":false,"vocab":{},"merges":{}}}}})",
      DumpJson(AddedTokens(model)), DumpJson(Normalizer(model.add_dummy_prefix)),
      DumpJson(PostProcessor(ids, first, last)), DumpJson(Decoder(model.add_dummy_prefix)),
      unknown.empty() ? "null" : unknown_text, vocab_text, DumpJson(MergesOf(model, ids)));
}

}  // namespace slim
