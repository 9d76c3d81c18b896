#include "text/sentencepiece_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/text.h"
#include "json/json.h"

namespace slim {
namespace {

bool IsUnigram(const SentencePieceProto& model) {
  return model.model_type == SentencePieceModelType::kUnigram;
}

Status CheckSupported(const SentencePieceProto& model) {
  const auto refuse = [](std::string_view what) {
    return InputError("SPM-unsupported", fmt::format("has {}, which slim does not read", what),
                      "write tokenizer.json with transformers: "
                      "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)");
  };
  const bool unigram = IsUnigram(model);
  if (!unigram && model.model_type != SentencePieceModelType::kBpe)
    return refuse("a model that is neither BPE nor unigram");
  if (model.whitespace_as_suffix) return refuse("white space as a suffix");
  if (!model.escape_whitespaces) return refuse("white space that is not escaped");
  if (unigram) return {};
  if (!model.byte_fallback) return refuse("no byte fallback");
  if (!model.charsmap.empty()) return refuse("a table of normalization");
  if (model.remove_extra_whitespaces) return refuse("removal of extra white space");
  return {};
}

// Every pair of pieces that make up a piece, by falling score of the piece; pairs of one piece by
// their ids.
Json MergesOf(const SentencePieceProto& model,
              const std::unordered_map<std::string_view, uint64_t>& ids) {
  std::vector<std::tuple<float, uint64_t, uint64_t>> merges;
  for (const SentencePiece& piece : model.pieces) {
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

Json Normalizer(bool dummy_prefix) {
  Json list = Json::Array();
  if (dummy_prefix) {
    Json prepend = Typed("Prepend");
    prepend.Set("prepend", kSentencePieceSpace);
    list.Push(std::move(prepend));
  }
  list.Push(Replace(" ", kSentencePieceSpace));
  Json json = Typed("Sequence");
  json.Set("normalizers", std::move(list));
  return json;
}

// `strip`: the space that a normalization put in front, or trimmed.
Json Decoder(bool strip) {
  Json list = Json::Array();
  list.Push(Replace(kSentencePieceSpace, " "));
  list.Push(Typed("ByteFallback"));
  list.Push(Typed("Fuse"));
  if (strip) {
    Json first = Typed("Strip");
    first.Set("content", " ");
    first.Set("start", 1);
    first.Set("stop", 0);
    list.Push(std::move(first));
  }
  Json json = Typed("Sequence");
  json.Set("decoders", std::move(list));
  return json;
}

Json AddedTokens(const SentencePieceProto& model) {
  Json tokens = Json::Array();
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const SentencePiece& piece = model.pieces[id];
    const bool special =
        piece.type == SentencePieceType::kControl || piece.type == SentencePieceType::kUnknown;
    // The unigram model finds user-defined pieces itself.
    const bool named = piece.type == SentencePieceType::kUserDefined && !IsUnigram(model);
    if (!special && !named) continue;
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

Result<std::string> TokenizerJsonOfSentencePiece(const SentencePieceProto& model,
                                                 std::string_view tokenizer_config) {
  SLIM_TRY(CheckSupported(model));
  Json config = Json::Object();
  if (!tokenizer_config.empty()) {
    SLIM_ASSIGN(config, ParseJson(tokenizer_config));
  }
  std::unordered_map<std::string_view, uint64_t> ids;
  std::string_view unknown;
  std::string vocab_text = "{";
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const SentencePiece& piece = model.pieces[id];
    if (!ids.emplace(piece.text, id).second) return BadSentencePieceFormat(0);
    if (piece.type == SentencePieceType::kUnknown) unknown = piece.text;
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
  const bool unigram = IsUnigram(model);
  const bool strip = model.add_dummy_prefix || (unigram && model.remove_extra_whitespaces);
  const std::string normalizer = unigram ? "null" : DumpJson(Normalizer(model.add_dummy_prefix));
  const std::string merges = unigram ? "[]" : DumpJson(MergesOf(model, ids));
  // The vocabulary is written by hand: setting members of an object one by one is quadratic.
  return fmt::format(
      R"({{"version":"1.0","truncation":null,"padding":null,"added_tokens":{},"normalizer":{},)"
      R"("pre_tokenizer":null,"post_processor":{},"decoder":{},"model":{{"type":"BPE",)"
      R"("dropout":null,"unk_token":{},"continuing_subword_prefix":null,"end_of_word_suffix":null,)"
      R"("fuse_unk":true,"byte_fallback":true,"ignore_merges":false,"vocab":{},"merges":{}}}}})",
      DumpJson(AddedTokens(model)), normalizer, DumpJson(PostProcessor(ids, first, last)),
      DumpJson(Decoder(strip)), unknown.empty() ? "null" : unknown_text, vocab_text, merges);
}

}  // namespace slim
